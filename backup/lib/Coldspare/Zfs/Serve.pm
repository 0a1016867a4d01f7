package Coldspare::Zfs::Serve;
# The forced command of a peer's key: what its `allow` lines say, and nothing else.
use strict;
use warnings;
use Coldspare::System;
use Coldspare::Zfs::Outcome;
use Coldspare::Zfs::Conf;
use Coldspare::Zfs::Verbs;
use Coldspare::Zfs::Side;

my %STREAMS = (send => 'send', resume => 'send', receive => 'receive');

sub words_asked {
    my @words = split ' ', $ENV{SSH_ORIGINAL_COMMAND} // '';
    shift @words if ($words[0] // '') =~ m{^(?:/usr/local/sbin/)?coldspare-zfs$};
    shift @words if ($words[0] // '') eq 'serve';
    die "no request\n" unless @words;
    return map { $_ eq '%' ? '' : decode($_) } @words;
}

sub require_allowed {
    my ($conf, $peer, $kind, @names) = @_;
    die "a request names no data set\n" unless @names;
    for my $name (@names) {
        my ($dataset, $short) = split /[\@#]/, $name, 2;
        die "'" . readable($name) . "' is no name of a data set or snapshot\n" unless $dataset =~ /^$DATASET$/ && ($short // 'x') =~ /^[A-Za-z0-9_.:-]+$/;
        my $is_allowed = grep { my $line = $_; $line->{peer} eq $peer && $line->{do}{$kind} && grep { $dataset eq $_ || index($dataset, "$_/") == 0 } @{ $line->{below} } } @{ $conf->{allow} };
        refuse("$peer must not $kind $dataset here: /etc/coldspare/zfs.conf of $conf->{self} has no 'allow $peer' line for it") unless $is_allowed;
    }
}

sub subjects {
    my ($which, @words) = @_;
    return $words[0] // () if $which eq 'first';
    return @words if $which eq 'all';
    return @words[1 .. $#words];
}

# The snapshot that a token goes on with is the one it says.
sub token_subject {
    my ($token) = @_;
    my ($name) = zfs('send', '-nvP', '-t', $token) =~ /^\s*toname = (\S+)/m or die "the token names no snapshot\n";
    return $name;
}

sub carry {
    my ($conf, $peer, $verb, @words) = @_;
    my ($dataset, @rest) = @words;
    require_allowed($conf, $peer, $STREAMS{$verb}, $dataset // ());
    die "'$_' is no word of a request\n" for grep { !/^(?:[\@#]?[A-Za-z0-9_.:][A-Za-z0-9_.:-]*)?$/ } $verb eq 'send' ? @rest : ();
    require_allowed($conf, $peer, 'send', token_subject($rest[0])) if $verb eq 'resume';
    Coldspare::Zfs::Verbs::parent($dataset) if $verb eq 'receive';
    my @argv = streaming($verb, @words);
    exec { $argv[0] } @argv or die "$argv[0]: $!\n";
}

sub answer {
    my ($peer) = @_;
    my $conf = conf();
    my ($verb, @words) = words_asked();
    return carry($conf, $peer, $verb, @words) if $STREAMS{$verb};
    my $entry = $VERBS{$verb} // die "there is no verb '" . readable($verb) . "'\n";
    my ($kind, $which) = @$entry;
    require_allowed($conf, $peer, $kind, subjects($which, @words));
    die "'$_' is no word of a request\n" for grep { !/^(?:[A-Za-z0-9_.:][A-Za-z0-9_.:-]*)?$/ } $which eq 'first' ? @words[1 .. $#words] : $which eq 'rest' ? $words[0] : ();
    return verb($verb, @words);
}

sub serve {
    my ($peer) = @_;
    wrong_use("use: coldspare-zfs serve PEER, as the forced command of the peer's key") unless ($peer // '') =~ /^$NAME$/;
    my @lines = eval { answer($peer) };
    my $error = $@;
    if ($error) {
        note('warning', "a request of $peer failed: " . message_of($error));
        my $is_stream = ($ENV{SSH_ORIGINAL_COMMAND} // '') =~ /\b(?:send|resume|receive)\b/;
        print STDERR message_of($error) . "\n" if $is_stream;
        print answer_line(['error', { code => code_of($error), text => message_of($error) }]), "\nend\n" unless $is_stream;
        exit code_of($error);
    }
    print map({ answer_line($_) . "\n" } @lines), "end\n";
    return;
}

1;
