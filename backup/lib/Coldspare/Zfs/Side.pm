package Coldspare::Zfs::Side;
# One end of a copy: this server, or a peer that is asked over ssh. A peer's answer ends with 'end'; one that does not is none.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;
use Coldspare::Zfs::Outcome;
use Coldspare::Zfs::Verbs;

our @EXPORT = qw(side ask side_name argv_of answer_line read_answer);

our $PATIENCE = 6 * 3600;

sub side { my ($conf, $peer) = @_; return $peer eq '-' || $peer eq $conf->{self} ? { name => $conf->{self} } : { name => $peer, peer => $conf->{peers}{$peer} // wrong_use("zfs.conf has no peer $peer") } }
sub side_name { return $_[0]{name} }

sub ssh_argv {
    my ($peer, @words) = @_;
    # A link that is gone is noticed within a minute; nothing ever asks a person.
    my @options = map { ('-o', $_) } 'UserKnownHostsFile=' . join(' ', map { path("/etc/coldspare/$_") } qw(zfs_known_hosts known_hosts)), qw(GlobalKnownHostsFile=/dev/null StrictHostKeyChecking=yes
        BatchMode=yes IdentitiesOnly=yes ConnectTimeout=10 ServerAliveInterval=15 ServerAliveCountMax=4 LogLevel=ERROR ClearAllForwardings=yes Compression=no);
    my @way = ('-i', path('/etc/coldspare/zfs_ed25519'), '-l', $peer->{user}, '-p', $peer->{port});
    return ('ssh', '-F', '/dev/null', '-T', @way, @options, '--', $peer->{address}, 'coldspare-zfs', 'serve', map { encode($_) =~ s/^$/%/r } @words);
}

# argv of a verb that carries a stream, here or there.
sub argv_of { my ($side, @words) = @_; return $side->{peer} ? ssh_argv($side->{peer}, @words) : streaming(@words) }

sub answer_line { my ($kind, $words) = @{ $_[0] }; return join ' ', $kind, map { "$_=" . encode($words->{$_} // '') } sort keys %$words }

sub read_answer {
    my ($text, $who) = @_;
    die "$who broke off\n" unless $text =~ s/^end\n\z//m;
    my @found;
    for my $line (split /\n/, $text) {
        my ($kind, @words) = split ' ', $line;
        my $words = words("@words");
        my %decoded = map { $_ => decode($words->{$_}) } keys %$words;
        if ($kind eq 'error') { my $said = "$who: $decoded{text}"; ($decoded{code} // 1) == 3 ? refuse($said) : die "$said\n" }
        push @found, [$kind, \%decoded];
    }
    return @found;
}

# A verb's lines. Dies with what the other side says, and its name.
sub ask {
    my ($side, @words) = @_;
    return verb(@words) unless $side->{peer};
    my ($code, $text) = run($PATIENCE, ssh_argv($side->{peer}, @words));
    if ($text !~ /^end\n\z/m) {
        $text =~ s/\s+$//;
        die "$side->{name} does not answer: " . ($text ne '' ? readable($text) : "ssh ended with $code") . "\n";
    }
    return read_answer($text, $side->{name});
}

1;
