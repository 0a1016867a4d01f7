package Coldspare::Backup::Process;
# Runs a program with an environment of its own, both outputs apart. Secrets go by environment or standard input, never by argv.
use strict;
use warnings;
use Exporter 'import';
use Fcntl qw(F_GETFD F_SETFD FD_CLOEXEC);
use Coldspare::System;

our @EXPORT = qw(capture stopping);

our $stop;
my $child;

# Whether somebody asked this program to end; what runs is ended, and nothing new is begun.
sub stopping { return $stop }

sub heed_signals {
    for my $name (qw(TERM INT HUP)) {
        $SIG{$name} = sub { $stop = $name; kill 'TERM', -$child if $child };
    }
}

sub in_child {
    my ($options, $in, $out, $err, @argv) = @_;
    setpgrp(0, 0);
    $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP PIPE);
    # Who holds the lock is whoever still works on the repository, also when this program was killed.
    if (my $lock = $options->{lock}) { fcntl($lock, F_SETFD, fcntl($lock, F_GETFD, 0) & ~FD_CLOEXEC) }
    open(STDIN, '<&', $in) && open(STDOUT, '>&', $out) && open(STDERR, '>&', $err) or leave(126);
    %ENV = (%ENV, %{ $options->{env} // {} });
    { no warnings 'exec'; exec { $argv[0] } @argv }
    print STDERR "$argv[0]: $!\n";
    leave(127);
}

# Options: env (hash), input (text), seconds, lock (handle that the program shall inherit), line (called with each line of stdout).
# Returns { code, out, err, late }.
sub capture {
    my ($options, @argv) = @_;
    return { code => 143, out => '', err => "stopped by SIG$stop" } if $stop && !$options->{anyway};
    pipe(my $in, my $to) && pipe(my $out, my $from_out) && pipe(my $err, my $from_err) or die "pipe: $!\n";
    my $pid = fork // die "fork: $!\n";
    in_child($options, $in, $from_out, $from_err, @argv) if $pid == 0;
    close $_ for $in, $from_out, $from_err;
    $child = $pid;
    { local $SIG{PIPE} = 'IGNORE'; syswrite($to, $options->{input}) if length($options->{input} // '') }
    close $to;
    my $result = { pid => $pid, out => '', err => '' };
    read_both($result, $out, $err, $options);
    kill 'KILL', -$pid if $result->{late};
    1 while waitpid($pid, 0) == -1 && $!{EINTR};
    $child = undef;
    $result->{code} = $result->{late} ? 124 : $? >> 8 || ($? & 127 ? 128 + ($? & 127) : 0);
    $result->{err} .= "no end within $options->{seconds} s\n" if $result->{late};
    return $result;
}

sub read_both {
    my ($result, $out, $err, $options) = @_;
    my $end = $options->{seconds} ? uptime() + $options->{seconds} : undef;
    my %open = (out => $out, err => $err);
    my $seen = 0;
    while (%open) {
        my $left = defined $end ? $end - uptime() : undef;
        if (defined $left && $left <= 0) { $result->{late} = 1; return }
        my $ready = '';
        vec($ready, fileno $_, 1) = 1 for values %open;
        next if select($ready, undef, undef, $left) < 1;
        for my $stream (grep { vec($ready, fileno $open{$_}, 1) } sort keys %open) {
            my $got = sysread($open{$stream}, $result->{$stream}, 65536, length $result->{$stream});
            delete $open{$stream} if defined $got ? $got == 0 : !$!{EINTR};
        }
        next unless $options->{line};
        while ((my $at = index $result->{out}, "\n", $seen) >= 0) { $options->{line}->(substr $result->{out}, $seen, $at - $seen); $seen = $at + 1 }
    }
}

1;
