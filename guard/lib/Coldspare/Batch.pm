package Coldspare::Batch;
# The decisions as batch modes: one question per line in, one answer per line out (docs/guard.md).
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;
use Coldspare::Decisions;

our @EXPORT = qw(batch batch_apply batch_decide batch_renewal);

sub batch {
    my ($sub) = @_;
    $| = 1;
    while (defined(my $line = <STDIN>)) {
        chomp $line;
        my $answer = eval { $sub->($line) };
        if (!defined $answer) { $answer = 'error ' . ($@ || 'no answer'); chomp $answer }
        print "$answer\n";
    }
    return 0;
}

sub state_from {
    my ($words) = @_;
    my %state = (server => $words->{server} // die("no server\n"), by => $words->{by} // $NOBODY, holder => $words->{holder} // $NOBODY);
    $state{$_} = integer($words->{$_} // 0, $_) for qw(epoch grants fresh);
    $state{until} = number($words->{until} // 0, 'until');
    return \%state;
}

sub state_text { my ($state) = @_; return join ' ', map { "$_=$state->{$_}" } qw(epoch server by grants holder until fresh) }

sub operation_from {
    my ($words) = @_;
    my %op = %$words;
    for my $key (grep { exists $op{$_} } qw(epoch running starting)) { $op{$key} = integer($op{$key}, $key) }
    for my $key (grep { exists $op{$_} } qw(now term)) { $op{$key} = number($op{$key}, $key) }
    my %needs = (
        read => [],
        boot => ['term'],
        claim => [qw(epoch server by)],
        grant => [qw(epoch server kind now term)],
        release => [qw(epoch self to by running starting)],
    );
    my $needs = $needs{ $op{op} // '' } or die "there is no operation '" . ($op{op} // '') . "'\n";
    for my $key (@$needs) { die "$op{op} needs $key\n" unless defined $op{$key} }
    return \%op;
}

sub batch_apply {
    my ($state, $operation) = split / \| /, $_[0], 2;
    my ($verdict, $new) = apply_operation(state_from(words($state)), operation_from(words($operation // '')));
    return "$verdict " . state_text($new);
}

sub batch_decide {
    my $words = words($_[0]);
    my %q = (known => 1, migrated => 0, lock => '', permit => 0, other => 0, agent => 1, consent => 1, stage => 'read', %$words);
    die "self or voters are missing\n" unless defined $q{self} && defined $q{voters};
    $q{voters} = [split /,/, $q{voters}];
    my %answers;
    for my $answer (split /,/, $words->{answers} // '') {
        my ($voter, $epoch, $server, $by, $fresh) = split /:/, $answer;
        die "'$answer' is no voter:epoch:server:by\n" unless defined $by;
        $answers{$voter} = { epoch => integer($epoch, 'epoch'), server => $server, by => $by, fresh => ($fresh // '') eq 'fresh' ? 1 : 0 };
    }
    my $verdict = decide({ %q, answers => \%answers });
    return join ' ', $verdict->{verdict}, map { "$_=$verdict->{$_}" } grep { defined $verdict->{$_} } qw(reason from epoch by);
}

sub batch_renewal {
    my $words = words($_[0]);
    my %q = (voters => [split /,/, $words->{voters} // ''], answers => {}, held => {});
    $q{$_} = number($words->{$_}, $_) for qw(now term until);
    for my $held (split /,/, $words->{held} // '') { my ($voter, $worth) = split /:/, $held; $q{held}{$voter} = number($worth, 'held') }
    for my $answer (split /,/, $words->{answers} // '') {
        my ($voter, $verdict, $sent, $hold) = split /:/, $answer;
        $q{answers}{$voter} = { sent => number($sent, 'sent'), hold => number($hold, 'hold') } if ($verdict // '') eq 'ok';
    }
    my $result = renew(\%q);
    my $held = join ',', map { "$_:$result->{held}{$_}" } @{ $q{voters} };
    return ($result->{valid} ? 'valid' : 'expired') . " until=$result->{until} held=$held";
}

1;
