package Coldspare::Peers;
# Asking peers: all at once, over ssh, never longer than said.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;
use Coldspare::Conf;

our @EXPORT = qw($ANSWER_SECONDS ask_begin ask_poll ask_end ask_all consult);

# For all voters together: a dead one costs no more.
our $ANSWER_SECONDS = 3.5;

sub ssh_argv {
    my ($peer, @words) = @_;
    my @options = map { ('-o', $_) } 'UserKnownHostsFile=' . path('/etc/coldspare/known_hosts'), qw(GlobalKnownHostsFile=/dev/null
        StrictHostKeyChecking=yes BatchMode=yes IdentitiesOnly=yes ConnectTimeout=3 LogLevel=ERROR ClearAllForwardings=yes);
    my @way = ('-i', path('/etc/coldspare/id_ed25519'), '-l', 'root', '-p', $peer->{port});
    return ('ssh', '-F', '/dev/null', '-T', @way, @options, '--', $peer->{address}, @words);
}

sub ask_begin {
    my ($conf, $name, $seconds, @words) = @_;
    my $ask = { peer => $name, sent => uptime(), text => '', error => '' };
    $ask->{end} = $ask->{sent} + $seconds;
    my $peer = $conf->{peers}{$name} or return { %$ask, done => 1, silence => "node.conf has no peer $name" };
    pipe($ask->{out}, my $out) && pipe($ask->{err}, my $err) or return { %$ask, done => 1, silence => "pipe: $!" };
    my $pid = fork // return { %$ask, done => 1, silence => "fork: $!" };
    if ($pid == 0) {
        setpgrp(0, 0);
        $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP PIPE);
        open(STDIN, '<', '/dev/null') and open(STDOUT, '>&', $out) and open(STDERR, '>&', $err) or leave(126);
        my @argv = ssh_argv($peer, @words);
        { no warnings 'exec'; exec { $argv[0] } @argv }
        leave(127);
    }
    $ask->{pid} = $pid;
    return $ask;
}

my $WNOHANG = 1;
my @to_reap;

sub ask_end {
    my ($ask, $silence) = @_;
    @$ask{qw(done silence)} = (1, $silence);
    close $ask->{out};
    close $ask->{err};
    kill 'KILL', -$ask->{pid}, $ask->{pid};
    push @to_reap, $ask->{pid};
    @to_reap = grep { waitpid($_, $WNOHANG) == 0 } @to_reap;
}

# Reads what came from the peers, waiting at most so long for something to come.
sub ask_poll {
    my ($asks, $seconds) = @_;
    my $ready = '';
    for my $ask (grep { !$_->{done} } @$asks) { vec($ready, fileno $ask->{$_}, 1) = 1 for grep { !$ask->{"$_-end"} } qw(out err) }
    my $count = select($ready, undef, undef, $seconds);
    $ready = '' if $count < 1;
    for my $ask (grep { !$_->{done} } @$asks) {
        for my $stream (grep { !$ask->{"$_-end"} && $ready ne '' && vec($ready, fileno $ask->{$_}, 1) } qw(out err)) {
            my $buffer = $stream eq 'out' ? \$ask->{text} : \$ask->{error};
            $ask->{"$stream-end"} = 1 unless sysread($ask->{$stream}, $$buffer, 65536, length $$buffer);
        }
        if ($ask->{text} =~ /^end\n\z/m || $ask->{'out-end'} && $ask->{'err-end'}) { ask_finish($ask) }
        elsif (uptime() >= $ask->{end} || length $ask->{text} > 4_000_000) { ask_end($ask, ask_error($ask) // 'no answer in time') }
    }
}

# What ssh said last.
sub ask_error {
    my ($ask) = @_;
    my ($line) = reverse grep { /\S/ } split /\r?\n/, $ask->{error};
    return defined $line ? readable(encode(substr($line, 0, 200))) : undef;
}

sub ask_finish {
    my ($ask) = @_;
    my $answers = eval { parse_answer($ask->{text}) };
    my $why = $@ =~ s/\n+$//r;
    $ask->{answers} = $answers // {};
    ask_end($ask, $answers ? undef : ask_error($ask) // $why);
}

# Whole or nothing: an answer that was cut, or has one line that is not understood, is none.
sub parse_answer {
    my ($text) = @_;
    die "nothing came back\n" if $text eq '';
    $text =~ s/^end\n\z//m or die "the answer was cut off\n";
    my %answers;
    for my $line (split /\n/, $text) {
        die readable($1) . "\n" if $line =~ /^error (\S+)$/;
        my ($name, $verdict, $rest) = $line =~ /^($NAME) (ok|denied|refused)((?: [a-z]+=\S*)*)$/ or die "the answer is not understood\n";
        my $answer = words($rest);
        $answer->{reason} = readable($answer->{reason}) if defined $answer->{reason};
        if (defined $answer->{epoch}) {
            $answer->{$_} = integer($answer->{$_}, $_) for qw(epoch grants);
            $answer->{hold} = number($answer->{hold}, 'hold');
            $answer->{fresh} //= 0;
            die "the answer is not understood\n" unless ($answer->{server} // '') =~ /^(?:$NAME|-)$/ && defined $answer->{by};
        }
        $answers{$name} = { %$answer, verdict => $verdict };
    }
    return \%answers;
}

# Asks peers at the same time; ends when all are done or when $enough->(asks) says so.
sub ask_all {
    my ($conf, $seconds, $requests, $enough) = @_;
    my @asks = map { ask_begin($conf, $_, $seconds, @{ $requests->{$_} }) } sort keys %$requests;
    while (grep { !$_->{done} } @asks) {
        ask_poll(\@asks, 0.25);
        last if $enough && $enough->(\@asks);
    }
    ask_end($_, 'not waited for') for grep { !$_->{done} } @asks;
    return @asks;
}

# All voters of one guest: the own answer and those of the others. Silent ones are in the second hash, with the reason.
sub consult {
    my ($conf, $guest, $own, $words, $enough) = @_;
    my (%answers, %silent);
    my $sort = sub {
        my ($voter, $answer, $silence) = @_;
        if ($answer && defined $answer->{epoch}) { $answers{$voter} = $answer }
        else { $silent{$voter} = $answer ? 'no vote: ' . ($answer->{reason} // 'no reason given') : 'no answer: ' . ($silence // 'not understood') }
    };
    $sort->($conf->{self}, $own);
    my $collect = sub {
        for my $ask (grep { $_->{done} && !$_->{sorted}++ } @{ $_[0] }) {
            my $answer = $ask->{answers} && $ask->{answers}{ $guest->{name} };
            $sort->($ask->{peer}, $answer ? { %$answer, sent => $ask->{sent} } : undef, $ask->{silence});
        }
        return $enough && $enough->(\%answers);
    };
    my @others = grep { $_ ne $conf->{self} } @{ $guest->{voters} };
    my @asks = ask_all($conf, $ANSWER_SECONDS, { map { $_ => $words } @others }, $collect);
    $collect->(\@asks);
    return (\%answers, \%silent);
}

1;
