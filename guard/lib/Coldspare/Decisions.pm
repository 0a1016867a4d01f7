package Coldspare::Decisions;
# The decisions: pure functions without files, clocks or network. A model of the protocol replays its states through them.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System qw($NOBODY);

our @EXPORT = qw(apply_operation is_voter majority_record refuse decide renew);

# One operation on one voter's record of one guest. Returns 'ok', 'denied' or 'refused', and the state afterwards.
sub apply_operation {
    my ($state, $op) = @_;
    my $is = sub { my ($epoch, $server) = @_; $state->{epoch} == $epoch && $state->{server} eq $server };
    my $becomes = sub { ('ok', { %$state, fresh => 0, @_ }) };
    my $kind = $op->{op};
    if ($kind eq 'read') { return ('ok', $state) }
    if ($kind eq 'claim') {
        my $same = $is->($op->{epoch}, $op->{server}) && $state->{by} eq $op->{by};
        return ('denied', $state) unless $state->{fresh} || $same || $op->{epoch} > $state->{epoch};
        return $becomes->(epoch => $op->{epoch}, server => $op->{server}, by => $op->{by});
    }
    if ($kind eq 'grant') {
        # Who remembers nothing may have promised the opposite: it has to be told a record first.
        return ('denied', $state) if $state->{fresh} || $op->{server} eq $NOBODY || !$is->($op->{epoch}, $op->{server});
        my $grants = $state->{grants} + ($op->{kind} eq 'start' ? 1 : 0);
        return $becomes->(grants => $grants, holder => $op->{server}, until => $op->{now} + $op->{term});
    }
    if ($kind eq 'release') {
        my @to = ($op->{epoch} + 1, $op->{to});
        return ('ok', $state) if $is->(@to) && $state->{by} eq $op->{by};
        return ('refused', $state) unless $is->($op->{epoch}, $op->{self}) && !$op->{running} && !$op->{starting} && !$op->{kept};
        return $becomes->(epoch => $to[0], server => $to[1], by => $op->{by});
    }
    # What the voter promised before it restarted lasts no longer than one term from the new clock's zero.
    if ($kind eq 'boot') { return ('ok', { %$state, until => $state->{holder} eq $NOBODY ? 0 : $op->{term} }) }
    die "there is no operation '$kind'\n";
}

# The record that a majority of all voters holds, with those who hold it. Identical means identical, also in who claimed it:
# two commands that lost against each other at the same epoch never add up.
sub majority_record {
    my ($voters, $answers) = @_;
    my @answered = grep { $answers->{$_} } @$voters;
    # A voter without memory may have held something else before: it counts only when nobody remembers anything.
    my $new_site = @answered == @$voters && !grep { $answers->{$_}{epoch} > 0 } @answered;
    my %holders;
    for my $voter (@answered) {
        my $record = $answers->{$voter};
        push @{ $holders{"$record->{epoch} $record->{server} $record->{by}"} }, $voter if $new_site || !$record->{fresh};
    }
    for my $holders (values %holders) {
        next unless @$holders > @$voters / 2;
        my $record = $answers->{ $holders->[0] };
        return { epoch => $record->{epoch}, server => $record->{server}, by => $record->{by}, holders => $holders };
    }
    return undef;
}

sub is_voter { my ($server, @voters) = @_; return scalar grep { $_ eq $server } @voters }

sub refuse { return { verdict => 'refuse', reason => $_[0] } }

sub decide_by_votes {
    my ($q) = @_;
    my ($self, $voters, $answers) = @$q{qw(self voters answers)};
    return refuse('no-voter') unless is_voter($self, @$voters);
    my $record = majority_record($voters, $answers);
    my $mine = $record && $record->{server} eq $self;
    my $among = $record && is_voter($self, @{ $record->{holders} });
    my @record = $record ? (epoch => $record->{epoch}, by => $record->{by}) : ();
    if ($q->{stage} eq 'granted') { return $mine && $among ? { verdict => 'start', @record } : refuse('not-granted') }
    my $own = $answers->{$self} or return refuse('self');
    if (!$record) {
        my @answered = grep { $answers->{$_} } @$voters;
        return refuse(@answered <= @$voters / 2 ? 'silent' : (grep { $answers->{$_}{fresh} } @answered) ? 'fresh' : 'split');
    }
    return refuse('blocked') if $record->{server} eq $NOBODY;
    if (!$mine) { return $q->{consent} ? { verdict => 'release', from => $record->{server}, epoch => $record->{epoch} } : refuse('other') }
    return { verdict => 'grant', @record } if $among;
    return { verdict => 'adopt', @record } if $own->{fresh} || $own->{epoch} < $record->{epoch};
    return refuse('ahead');
}

# May this server start this guest? What the keys mean is in docs/guard.md.
sub decide {
    my ($q) = @_;
    my $pass = sub { return { verdict => 'pass', reason => $_[0] } };
    return $pass->('unknown') unless $q->{known};
    return $pass->('migration') if $q->{migrated};
    return $pass->('backup') if $q->{lock} eq 'backup';
    return refuse('other-id') if $q->{other};
    return refuse('no-agent') unless $q->{agent};
    my $verdict = decide_by_votes($q);
    return $verdict->{verdict} eq 'refuse' && $q->{permit} ? $pass->('permit') : $verdict;
}

# How long may a guest run, after these answers of voters? A voter's grant is worth what both clocks agree on: our own term from
# before we asked, and no more than the voter says it holds.
sub renew {
    my ($q) = @_;
    my %held = map { $_ => $q->{held}{$_} // 0 } @{ $q->{voters} };
    for my $voter (grep { $q->{answers}{$_} } @{ $q->{voters} }) {
        my $answer = $q->{answers}{$voter};
        my $worth = $answer->{sent} + ($answer->{hold} < $q->{term} ? $answer->{hold} : $q->{term});
        $held{$voter} = $worth if $worth > $held{$voter};
    }
    my @worths = sort { $b <=> $a } values %held;
    my $until = $worths[int(@worths / 2)] // 0;
    $until = $q->{until} if $q->{until} > $until;
    return { valid => $q->{now} < $until ? 1 : 0, until => $until, held => \%held };
}

1;
