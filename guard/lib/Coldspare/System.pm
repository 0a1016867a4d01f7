package Coldspare::System;
# Text, files, clocks, log, and running programs. IO::Handle, POSIX and Socket are loaded where they are needed: answering a peer
# takes none of them, and is what this program does most.
use strict;
use warnings;
use Exporter 'import';
use Fcntl qw(O_RDONLY O_WRONLY O_CREAT O_TRUNC O_DIRECTORY);

our @EXPORT = qw($ROOT $NAME $NOBODY path encode decode readable words number integer short
    slurp make_folder write_file kernel_file uptime boot_id time_of_day note say_and_note run leave);

our $ROOT = $ENV{COLDSPARE_ROOT} // '';
# Servers may have capital letters in their names, as Proxmox VE takes them; guests have none.
our $NAME = qr/[A-Za-z0-9][A-Za-z0-9-]{0,62}/;
our $NOBODY = '-';

sub path { return $ROOT . $_[0] }

sub encode { my ($text) = @_; $text =~ s/([^A-Za-z0-9._\@+-])/sprintf('%%%02X', ord $1)/ge; return $text }
sub decode { my ($text) = @_; $text =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge; return $text }

# What another server says, for a terminal or a log: no line of its own, no control sequence.
sub readable { my ($text) = @_; return decode($text) =~ s/[\x00-\x1f\x7f]/?/gr }

# 'a=1 b=2' as a hash; dies of anything else, so that nothing half-read is acted on.
sub words {
    my ($text) = @_;
    my %words;
    for my $word (split ' ', $text) {
        my ($key, $value) = $word =~ /^([a-z_]+)=(\S*)$/ or die "'$word' is no key=value\n";
        die "'$key' is there twice\n" if exists $words{$key};
        $words{$key} = $value;
    }
    return \%words;
}

sub number {
    my ($text, $what) = @_;
    die "$what '" . ($text // '') . "' is no number\n" unless ($text // '') =~ /^\d{1,15}(?:\.\d{1,9})?$/;
    return $text + 0;
}

sub integer {
    my ($text, $what) = @_;
    die "$what '" . ($text // '') . "' is no whole number\n" unless ($text // '') =~ /^\d{1,15}$/;
    return $text + 0;
}

sub short { my ($seconds) = @_; return 0 + sprintf('%.2f', $seconds) }

sub slurp {
    my ($file) = @_;
    open(my $handle, '<', $file) or return undef;
    local $/;
    my $text = <$handle>;
    return $text // '';
}

sub make_folder {
    my ($folder) = @_;
    return if -d $folder;
    my ($above) = $folder =~ m{^(.+)/[^/]+$};
    make_folder($above) if defined $above && $above ne '';
    mkdir($folder, 0700) or -d $folder or die "cannot make $folder: $!\n";
}

# Whole or not at all, also after a power cut when durable.
sub write_file {
    my ($file, $text, $durable) = @_;
    my ($folder) = $file =~ m{^(.*)/[^/]+$};
    make_folder($folder);
    sysopen(my $handle, "$file.new", O_WRONLY | O_CREAT | O_TRUNC, 0600) or die "cannot write $file: $!\n";
    my $done = (syswrite($handle, $text) // -1) == length $text;
    if ($done && $durable) { require IO::Handle; $done = $handle->sync }
    $done &&= close $handle;
    die "cannot write $file: $!\n" unless $done;
    rename("$file.new", $file) or die "cannot write $file: $!\n";
    return unless $durable;
    sysopen(my $directory, $folder, O_RDONLY | O_DIRECTORY) or die "cannot open $folder: $!\n";
    $directory->sync or die "cannot write $folder: $!\n";
}

# /proc/uptime is CLOCK_BOOTTIME: it goes on in suspend and no change of the time of day moves it.
sub kernel_file { my ($file) = @_; return $ROOT ne '' && -e "$ROOT$file" ? "$ROOT$file" : $file }
sub uptime { my $text = slurp(kernel_file('/proc/uptime')) // ''; $text =~ /^(\d+\.\d+)/ or die "no uptime in /proc\n"; return $1 + 0 }

sub boot_id {
    my $text = slurp(kernel_file('/proc/sys/kernel/random/boot_id')) // '';
    $text =~ /^([0-9a-f-]{8,64})$/m or die "no boot id in /proc\n";
    return $1;
}

sub time_of_day { my @now = gmtime; return sprintf '%d-%02d-%02dT%02d:%02d:%02dZ', $now[5] + 1900, $now[4] + 1, @now[3, 2, 1, 0] }

# Straight to the system's log: a fork per line would cost the agent more than the line.
sub note {
    my ($level, $text) = @_;
    my $severity = { crit => 2, error => 3, warning => 4, notice => 5 }->{$level} // 5;
    my $device = path('/dev/log');
    return unless -S $device;
    require Socket;
    socket(my $log, Socket::AF_UNIX(), Socket::SOCK_DGRAM(), 0) or return;
    my $line = substr($text, 0, 1800);
    $line =~ s/\n/ | /g;
    connect($log, Socket::sockaddr_un($device)) and send($log, '<' . (3 * 8 + $severity) . ">coldspare[$$]: $line", Socket::MSG_DONTWAIT());
}

sub say_and_note { my ($level, $text) = @_; print STDERR "coldspare: $text\n"; note($level, $text) }

# Ends a child without running anything of its parent's.
sub leave { my ($code) = @_; require POSIX; STDERR->flush; POSIX::_exit($code) }

# Runs a program without a shell and ends it after so many seconds. Returns its exit code and what it printed.
sub run {
    my ($seconds, @argv) = @_;
    pipe(my $out, my $in) or return (126, "pipe: $!");
    my $pid = fork // return (126, "fork: $!");
    if ($pid == 0) {
        setpgrp(0, 0);
        open(STDIN, '<', '/dev/null');
        open(STDOUT, '>&', $in) and open(STDERR, '>&', $in) or leave(126);
        { no warnings 'exec'; exec { $argv[0] } @argv }
        print STDERR "$argv[0]: $!\n";
        leave(127);
    }
    close $in;
    my ($text, $end) = ('', uptime() + $seconds);
    while ((my $left = $end - uptime()) > 0) {
        my $ready = '';
        vec($ready, fileno $out, 1) = 1;
        next if select($ready, undef, undef, $left) < 1;
        last unless sysread($out, $text, 65536, length $text);
    }
    my $late = uptime() >= $end;
    kill 'KILL', -$pid if $late;
    waitpid($pid, 0);
    return $late ? (124, "$text (no end within $seconds s)") : ($? >> 8 || ($? & 127 ? 128 + ($? & 127) : 0), $text);
}

1;
