package LabZfs::Stream;
# A stream: records, each with a checksum over everything before it, so that a truncated or damaged stream is noticed at the
# record where it happens. Types: P begins a package of several streams, B one stream, O an entry of a folder, W bytes of
# a file, E ends a stream, Z the package. The token of a resumable receive is this module's as well.
use strict;
use warnings;
use Exporter 'import';
use Digest::SHA qw(sha256 sha256_hex);
use LabZfs::Store;

our @EXPORT = qw($MAGIC write_record read_record new_sum token_text read_token pack_record);

our $MAGIC = "coldspare-lab-zfs-stream 1\n";

sub new_sum { return { sum => '' } }

sub pack_record {
    my ($type, $head, $payload) = @_;
    my $words = words_text($head);
    return $type . pack('NN', length $words, length $payload) . $words . $payload;
}

sub write_record {
    my ($out, $sum, $type, $head, $payload) = @_;
    my $record = pack_record($type, $head, $payload // '');
    $sum->{sum} = sha256($sum->{sum} . $record);
    my $bytes = $record . substr $sum->{sum}, 0, 8;
    my $at = 0;
    while ($at < length $bytes) {
        my $done = syswrite $out, $bytes, length($bytes) - $at, $at;
        if (!defined $done) { next if $!{EINTR}; fail("warning: cannot send: $!") }
        $at += $done;
    }
    return length $bytes;
}

sub read_exactly {
    my ($in, $length) = @_;
    my $bytes = '';
    while (length $bytes < $length) {
        my $got = sysread $in, $bytes, $length - length $bytes, length $bytes;
        next if !defined $got && $!{EINTR};
        last unless $got;
    }
    return $bytes;
}

# (type, head, payload, raw bytes), or nothing with the reason in $$why: 'end', 'truncated' or 'damaged'.
sub read_record {
    my ($in, $sum, $why) = @_;
    my $frame = read_exactly($in, 9);
    if (length $frame < 9) { $$why = $frame eq '' ? 'end' : 'truncated'; return }
    my ($type, $words, $length) = unpack 'aNN', $frame;
    if ($type !~ /^[PBOWEZ]$/ || $words > 1_000_000 || $length > 64_000_000) { $$why = 'damaged'; return }
    my $rest = read_exactly($in, $words + $length + 8);
    if (length $rest < $words + $length + 8) { $$why = 'truncated'; return }
    my $record = $frame . substr $rest, 0, $words + $length;
    $sum->{sum} = sha256($sum->{sum} . $record);
    if (substr($rest, $words + $length) ne substr $sum->{sum}, 0, 8) { $$why = 'damaged'; return }
    return ($type, words_of(substr $rest, 0, $words), substr($rest, $words, $length), $record);
}

# 1-<checksum>-<length>-<what it says, in hexadecimal>, as ZFS writes its tokens.
sub token_text {
    my ($words) = @_;
    my $hex = unpack 'H*', words_text($words);
    return join '-', 1, substr(sha256_hex($hex), 0, 10), sprintf('%x', length $hex), $hex;
}

sub read_token {
    my ($token) = @_;
    my $no = 'cannot resume send';
    my ($version, $sum, $length, $hex) = $token =~ /^(\d+)-([0-9a-f]+)-([0-9a-f]+)-([0-9a-f]+)$/ or fail("$no: resume token is corrupt (invalid format)");
    fail("$no: resume token is corrupt (invalid version $version)") if $version ne '1';
    fail("$no: resume token is corrupt (incorrect checksum)") if substr(sha256_hex($hex), 0, 10) ne $sum || hex $length != length $hex;
    return words_of(pack 'H*', $hex);
}

1;
