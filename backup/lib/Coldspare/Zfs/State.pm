package Coldspare::Zfs::State;
# What the last run left: a file of words per job or replica, one lock each, and mail when a run fails.
use strict;
use warnings;
use Exporter 'import';
use Fcntl qw(:flock O_WRONLY O_CREAT);
use Coldspare::System;
use Coldspare::Zfs::Outcome;
use Coldspare::Zfs::Chain;

our @EXPORT = qw(exclusively recorded state_of remember verified_of tell_failure);

sub file { my ($name, $kind) = @_; return path("/var/lib/coldspare/zfs/$name.$kind") }

sub exclusively {
    my ($name, $code) = @_;
    my $file = path("/run/coldspare/zfs-$name.lock");
    make_folder(path('/run/coldspare'));
    sysopen(my $lock, $file, O_WRONLY | O_CREAT, 0600) or die "cannot open $file: $!\n";
    flock($lock, LOCK_EX | LOCK_NB) or refuse("another run of $name is under way: it holds $file");
    return $code->();
}

sub state_of {
    my ($name) = @_;
    my $text = slurp(file($name, 'state')) // return { state => 'never' };
    chomp $text;
    my $words = eval { words($text) } // return { state => 'never' };
    my %state = map { $_ => decode($words->{$_}) } keys %$words;
    # A run that ended with its server is no run any more.
    if ($state{state} eq 'running' && !is_running($name)) { @state{qw(state error)} = ('failed', 'the run was cut off: this server went down, or the program was killed') }
    return \%state;
}

sub is_running {
    my ($name) = @_;
    sysopen(my $lock, path("/run/coldspare/zfs-$name.lock"), O_WRONLY) or return 0;
    return flock($lock, LOCK_EX | LOCK_NB) ? 0 : 1;
}

sub remember { my ($name, $state) = @_; write_file(file($name, 'state'), join(' ', map { "$_=" . encode($state->{$_}) } sort keys %$state) . "\n", 1) }

# Runs code that returns { bytes, newest } and writes down how it ended. `newest` of a failed run stays that of the last good one.
sub recorded {
    my ($name, $code) = @_;
    my $began = time;
    my $before = state_of($name);
    my %kept = (newest => $before->{newest} // '', bytes => 0, began => iso($began));
    remember($name, { %kept, state => 'running', at => $before->{at} // '', seconds => 0, error => '' });
    my $result = eval { $code->() };
    my $error = $@;
    my %end = (at => iso(time), seconds => time - $began);
    if ($result) { remember($name, { %kept, %end, %$result, state => 'ok', error => '' }); return $result }
    remember($name, { %kept, %end, state => 'failed', error => message_of($error) });
    note('error', "$name: " . message_of($error));
    die $error;
}

# guid => [ok|failed, time]: what a verification said of a point.
sub verified_of {
    my ($name) = @_;
    my %found;
    for my $line (split /\n/, slurp(file($name, 'verified')) // '') { my $words = eval { words($line) } or next; $found{ $words->{guid} } = [$words->{result}, decode($words->{at})] }
    return \%found;
}

sub remember_verified {
    my ($name, $verified) = @_;
    write_file(file($name, 'verified'), join('', map { "guid=$_ result=$verified->{$_}[0] at=" . encode($verified->{$_}[1]) . "\n" } sort keys %$verified), 1);
}

sub tell_failure {
    my ($conf, $subject, $text) = @_;
    my $mail = $conf->{mail} or return;
    my $waiting = eval { require Coldspare::Mail; Coldspare::Mail::tell({ %$mail, server => $mail->{server} // $mail->{host} }, $subject, $text) };
    print STDERR "coldspare-zfs: the message could not be sent: $@\n" unless defined $waiting;
}

1;
