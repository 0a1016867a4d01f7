package Coldspare::Zfs::Transfer;
# A stream from one side to the other: two processes, and this one between them, which counts and, where a rate is set, waits.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;
use Coldspare::Zfs::Outcome;
use Coldspare::Zfs::Side;

our @EXPORT = qw(transfer);

my $PIECE = 131_072;

sub spawn {
    my ($in, $out, @argv) = @_;
    open(my $err, '+>', undef) or die "no temporary file: $!\n";
    my $pid = fork // die "fork: $!\n";
    if ($pid == 0) {
        setpgrp(0, 0);
        $SIG{PIPE} = 'DEFAULT';
        open(STDIN, '<&', $in) and open(STDOUT, '>&', $out) and open(STDERR, '>&', $err) or leave(126);
        { no warnings 'exec'; exec { $argv[0] } @argv }
        print STDERR "$argv[0]: $!\n";
        leave(127);
    }
    return { pid => $pid, err => $err };
}

sub ended {
    my ($process) = @_;
    waitpid($process->{pid}, 0);
    my $code = $? >> 8 || ($? & 127 ? 128 + ($? & 127) : 0);
    seek $process->{err}, 0, 0;
    local $/;
    my $text = readline($process->{err}) // '';
    $text =~ s/\s+$//;
    return ($code, $text);
}

# Bytes from one pipe into the other, not more than `rate` a second. False when the receiver has gone.
sub pump {
    my ($from, $to, $rate, $count) = @_;
    my ($began, $piece) = (uptime(), $PIECE);
    $piece = int($rate / 10) || 1 if $rate && $rate / 10 < $PIECE;
    local $SIG{PIPE} = 'IGNORE';
    while (my $got = sysread $from, my $bytes, $piece) {
        my $at = 0;
        while ($at < $got) { $at += syswrite($to, $bytes, $got - $at, $at) // return 0 }
        $$count += $got;
        next unless $rate;
        my $ahead = $$count / $rate - (uptime() - $began);
        select undef, undef, undef, $ahead if $ahead > 0;
    }
    return 1;
}

# Carries the stream that `$send` (words of a verb) makes on one side to the verb `$receive` of the other. Returns its bytes; dies with what
# the side says that failed first.
sub transfer {
    my ($from, $send, $to, $receive, $rate) = @_;
    open(my $nothing, '+<', '/dev/null') or die "/dev/null: $!\n";
    pipe(my $read, my $sent) && pipe(my $received, my $write) or die "pipe: $!\n";
    my $sender = spawn($nothing, $sent, argv_of($from, @$send));
    close $sent;
    fcntl($write, 2, 1);
    my $receiver = spawn($received, $nothing, argv_of($to, @$receive));
    close $received;
    my $bytes = 0;
    local @SIG{qw(TERM INT)} = (sub { kill 'TERM', -$sender->{pid}, -$receiver->{pid}; die "interrupted\n" }) x 2;
    pump($read, $write, $rate, \$bytes);
    close $read;
    close $write;
    my ($code, $said) = ended($receiver);
    my ($sender_code, $sender_said) = ended($sender);
    # A receiver that gives up breaks the sender's pipe, and a sender that fails leaves the receiver with half a stream.
    my $is_sender = $sender_code && $sender_code != 141 && $sender_said !~ /broken pipe/i && ($code == 0 || $said =~ /incomplete stream|checksum mismatch|failed to read from stream/);
    die side_name($from) . ": $sender_said\n" if $is_sender && $sender_said ne '';
    die side_name($from) . ": the sender ended with $sender_code\n" if $is_sender;
    die side_name($to) . ': ' . ($said ne '' ? $said : "the receiver ended with $code") . "\n" if $code;
    return $bytes;
}

1;
