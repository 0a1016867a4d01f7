package Coldspare::Serve;
# What peers and the operator's commands may ask of this server.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;
use Coldspare::Conf;
use Coldspare::Decisions;
use Coldspare::Voter;

our $VERSION = 1;
our @EXPORT = qw(serve);

sub answer_line {
    my ($name, $answer) = @_;
    my @words = ($name, $answer->{verdict});
    push @words, map { "$_=$answer->{$_}" } qw(epoch server by since grants hold holder) if defined $answer->{epoch};
    push @words, 'fresh=1' if $answer->{fresh};
    push @words, 'reason=' . encode($answer->{reason}) if defined $answer->{reason};
    return join ' ', @words;
}

# 'sql-erp=5@srv1' or 'sql-erp=5'
sub target {
    my ($word, $with_server) = @_;
    my ($name, $epoch, $server) = $word =~ /^($NAME)=(\d{1,15})(?:\@($NAME|-))?$/ or die "'$word' is not understood\n";
    die "'$word' is not understood\n" if $with_server xor defined $server;
    return ($name, $epoch + 0, $server);
}

sub claimant {
    my ($by) = @_;
    die "'by' is missing or longer than 200 characters\n" unless ($by // '') =~ /^[!-~]{1,200}$/;
    return encode(decode($by));
}

# Takes apart a request completely before anything is done: [guest, code that answers]...
sub plan_request {
    my ($conf, @request) = @_;
    my $kind = shift @request // die "no request\n";
    my $server = sub { my ($name) = @_; die "'" . ($name // '') . "' is no name of a server\n" unless ($name // '') =~ /^$NAME$/; return $name };
    my $no = sub { my ($reason) = @_; return sub { return { verdict => 'refused', reason => $reason } } };
    my $claim = sub {
        my ($guest, $to, $code) = @_;
        my $eligible = is_voter($to, $NOBODY, @{ $guest->{voters} }, map { $_->{server} } @{ $guest->{ids} });
        return $eligible ? $code : $no->("$to is no server of $guest->{name}");
    };
    my @plan;
    my $add = sub {
        my ($name, $code) = @_;
        my $guest = $conf->{guests}{$name};
        my $reason = !$guest ? "$name is not in node.conf of $conf->{self}" : "$conf->{self} has no vote on $name";
        push @plan, [$name, $guest && is_voter($conf->{self}, @{ $guest->{voters} }) ? $code->($guest) : $no->($reason)];
    };
    if ($kind eq 'read') {
        for my $name (@request ? @request : sort keys %{ $conf->{guests} }) {
            die "'$name' is no name of a guest\n" unless $name =~ /^$NAME$/;
            $add->($name, sub { my ($guest) = @_; sub { vote($conf, $guest, { op => 'read' }) } });
        }
    }
    elsif ($kind eq 'claim') {
        my $by = claimant(shift @request);
        for my $word (@request) {
            my ($name, $epoch, $to) = target($word, 1);
            my %op = (op => 'claim', epoch => $epoch, server => $to, by => $by);
            $add->($name, sub { my ($guest) = @_; $claim->($guest, $to, sub { vote($conf, $guest, \%op) }) });
        }
    }
    elsif ($kind eq 'grant') {
        my ($to, $how) = ($server->(shift @request), shift @request // '');
        die "'$how' is neither start nor renew\n" unless $how =~ /^(?:start|renew)$/;
        for my $word (@request) {
            my ($name, $epoch) = target($word, '');
            my %op = (op => 'grant', kind => $how, server => $to, epoch => $epoch);
            $add->($name, sub { my ($guest) = @_; sub { vote($conf, $guest, \%op) } });
        }
    }
    elsif ($kind eq 'release') {
        my ($by, $to) = (claimant(shift @request), $server->(shift @request));
        for my $word (@request) {
            my ($name, $epoch) = target($word, '');
            $add->($name, sub { my ($guest) = @_; $claim->($guest, $to, sub { consent($conf, $guest, $epoch, $to, $by) }) });
        }
    }
    else { die "there is no request '" . substr($kind, 0, 40) . "'\n" }
    die "$kind names no guest\n" unless @plan || $kind eq 'read';
    return @plan;
}

sub pong {
    my ($conf) = @_;
    my ($generation, $hash) = split ' ', slurp(path('/etc/coldspare/generation')) // '';
    my @words = ("self=$conf->{self}", 'boot=' . boot_id(), 'uptime=' . uptime());
    push @words, 'generation=' . encode($generation // 0), 'hash=' . encode($hash // $NOBODY), "version=$VERSION";
    return join ' ', 'pong', @words;
}

# The answer ends with 'end': a peer takes one that does not for no answer.
sub answer_request {
    my ($conf, @request) = @_;
    return pong($conf) . "\nend\n" if ($request[0] // '') eq 'ping' && @request == 1;
    my $text = '';
    for my $step (plan_request($conf, @request)) { $text .= answer_line($step->[0], $step->[1]->()) . "\n" }
    return "${text}end\n";
}

sub serve {
    my (@request) = @_;
    @request = split ' ', $ENV{SSH_ORIGINAL_COMMAND} // '' unless @request;
    splice(@request, 0, 2) if ($request[0] // '') =~ m{^(?:/usr/local/sbin/)?coldspare-node$} && ($request[1] // '') eq 'serve';
    my $text = eval { answer_request(conf(), @request) };
    if (!defined $text) {
        my $error = $@ =~ s/\n+$//r;
        note('warning', "a request was not understood: $error");
        print 'error ' . encode($error) . "\nend\n";
        print STDERR "coldspare: $error\n";
        return 1;
    }
    print $text;
    return 0;
}

1;
