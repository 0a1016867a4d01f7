package Coldspare::Hook;
# The hook script: refuses a start that could be the second one.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;
use Coldspare::Conf;
use Coldspare::Decisions;
use Coldspare::Voter;
use Coldspare::Peers;
use Coldspare::Guests;

our @EXPORT = qw(hook);

sub hook {
    my ($vmid, $phase) = @_;
    if (($vmid // '') !~ /^\d{3,9}$/ || ($phase // '') eq '') { print STDERR "use: coldspare-node hook VMID PHASE\n"; return 2 }
    if ($phase ne 'pre-start') {
        eval { after_phase($vmid, $phase) };
        return 0;
    }
    my $conf = eval { conf() };
    if (!$conf) {
        say_and_note('error', join "\n  ", "$vmid must not start: " . ($@ =~ s/\n+$//r),
            'Without node.conf nobody knows whether another server runs this guest. Way out: install the guard again (pulumi up), or,',
            "when it is certain that no other server runs it, take the hook script off: qm set $vmid --delete hookscript (containers: pct set)");
        return 1;
    }
    my $passes = eval { pre_start($conf, $vmid) };
    return $passes ? 0 : 1 if defined $passes;
    say_and_note('error', join "\n  ", "$vmid must not start, as it could not be found out who may run it: " . ($@ =~ s/\n+$//r),
        'What to do: mend that (a full or read-only disk: df -h /run /var; another start that hangs: the task list), then start it again.');
    return 1;
}

sub after_phase {
    my ($vmid, $phase) = @_;
    my $guest = guest_of(conf(), $vmid) // return;
    my $start = read_mark('starting', $guest->{name});
    remove_mark('starting', $guest->{name}) if $start && $start->{vmid} == $vmid && $phase =~ /^post-/;
    return unless $phase eq 'post-stop';
    remove_mark($_, $vmid) for qw(passed permitted);
}

sub pre_start {
    my ($conf, $vmid) = @_;
    my $guest = guest_of($conf, $vmid);
    my $q = { self => $conf->{self}, known => $guest ? 1 : 0, migrated => ($ENV{PVE_MIGRATED_FROM} // '') ne '', lock => '' };
    @$q{qw(stage answers consent other permit agent)} = ('read', {}, 1, 0, 0, 1);
    if ($guest) {
        $q->{voters} = $guest->{voters};
        $q->{lock} = (config($conf, $guest, $vmid) // {})->{lock} // '';
        $q->{agent} = 0 if $conf->{fencing} eq 'lease' && !(agent_alive() && -S path('/run/watchdog-mux.sock'));
    }
    if (!$guest || $q->{migrated} || $q->{lock} eq 'backup') {
        my $why = decide($q)->{reason};
        write_mark('passed', $vmid, why => $why, at => uptime()) if $guest;
        # What an earlier run here was granted is not this run's.
        remove_mark('validity', $guest->{name}) if $q->{migrated} && $guest && !running_ids($conf, $guest);
        note('notice', "start of $vmid passes: $why");
        return 1;
    }
    remove_mark('passed', $vmid);
    $q->{other} = begin_start($conf, $guest, $vmid);
    my $verdict = by_votes($conf, $guest, $q);
    $verdict = refuse('permit') if $verdict->{verdict} eq 'pass' && !use_permit($conf, $guest);
    $verdict = refuse('late') if $verdict->{verdict} eq 'start' && $conf->{fencing} eq 'lease' && !begin_lease($conf, $guest, $q->{answers});
    if ($verdict->{verdict} eq 'start' || $verdict->{verdict} eq 'pass') {
        passed($guest, $vmid, $verdict, $conf->{self});
        return 1;
    }
    remove_mark('starting', $guest->{name}) unless $q->{other};
    say_and_note('error', refusal($conf, $guest, $vmid, $q, $verdict));
    return 0;
}

# From here on this server consents to no release. Returns another id of the guest that runs or starts here already, else 0.
sub begin_start {
    my ($conf, $guest, $vmid) = @_;
    return locked($guest->{name}, sub {
        my $start = start_in_progress($guest);
        my ($other) = grep { $_ != $vmid } running_ids($conf, $guest), $start ? $start->{vmid} : ();
        return $other if $other;
        my $starter = getppid();
        write_mark('starting', $guest->{name}, vmid => $vmid, pid => $starter, born => born($starter) // 0, at => uptime());
        return 0;
    });
}

# The start rule: asks, and does what decide says, until it says start, pass or refuse.
sub by_votes {
    my ($conf, $guest, $q) = @_;
    my ($name, $self) = ($guest->{name}, $conf->{self});
    # A start that may go on does not wait for a dead voter; a refusal tells what every voter said.
    my $early = sub { my ($answers) = @_; return decide({ %$q, permit => 0, answers => $answers })->{verdict} =~ /^(?:grant|adopt)$/ };
    my $first = decide({ %$q, permit => 0 });
    return $first if $first->{verdict} eq 'refuse' && $first->{reason} =~ /^(?:other-id|no-agent)$/;
    my $own = vote($conf, $guest, { op => 'read' });
    $q->{permit} = permit($guest, $own) ? 1 : 0;
    @$q{qw(answers silent)} = consult($conf, $guest, $own, ['read', $name], $early);
    for my $round (1 .. 5) {
        my $verdict = decide($q);
        if ($verdict->{verdict} eq 'adopt') {
            my $own = vote($conf, $guest, { op => 'claim', epoch => $verdict->{epoch}, server => $self, by => $verdict->{by} });
            $q->{silent}{$self} = $own->{reason};
            return refuse('self') unless defined $own->{epoch};
            $q->{answers}{$self} = $own;
        }
        elsif ($verdict->{verdict} eq 'release') { take_over($conf, $guest, $q, $verdict, $early) }
        elsif ($verdict->{verdict} eq 'grant') {
            my $why = remind($conf, $guest, $q->{answers}) // take_grants($conf, $guest, $q, $verdict) // next;
            # The other voters may be in order: what is to be mended is here.
            $q->{silent}{$self} = "no vote: $why";
            return refuse('self');
        }
        else { return $verdict }
    }
    return refuse('split');
}

# The server that may run it gives that up, the others hear of it.
sub take_over {
    my ($conf, $guest, $q, $verdict, $early) = @_;
    my ($name, $self, $from, $by) = ($guest->{name}, $conf->{self}, $verdict->{from}, "guard\@$conf->{self}");
    my ($ask) = ask_all($conf, $ANSWER_SECONDS, { $from => ['release', $by, $self, "$name=$verdict->{epoch}"] });
    my $answer = $ask->{answers} && $ask->{answers}{$name} || {};
    if (($answer->{verdict} // '') ne 'ok') {
        $q->{consent} = 0;
        $q->{no_consent} = "$from does not give it up: " . ($ask->{silence} // $answer->{reason} // 'no reason given');
        return;
    }
    note('notice', "$from gave $name up for $self");
    my $epoch = $verdict->{epoch} + 1;
    my $own = vote($conf, $guest, { op => 'claim', epoch => $epoch, server => $self, by => $by });
    @$q{qw(answers silent)} = consult($conf, $guest, $own, ['claim', $by, "$name=$epoch\@$self"], $early);
}

# The first start of a guest at a new site: all voters answer and none has ever seen a claim, so those without memory are given
# the record that they all name. Before that they grant nothing. Returns why the own record could not be written.
sub remind {
    my ($conf, $guest, $answers) = @_;
    my @voters = @{ $guest->{voters} };
    return if grep { !$answers->{$_} || $answers->{$_}{epoch} > 0 } @voters;
    my ($self, $why, %requests) = ($conf->{self});
    for my $voter (grep { $answers->{$_}{fresh} } @voters) {
        if ($voter eq $self) { $why = vote($conf, $guest, { op => 'claim', epoch => 0, server => $guest->{primary}, by => $NOBODY })->{reason} }
        else { $requests{$voter} = ['claim', $NOBODY, "$guest->{name}=0\@$guest->{primary}"] }
    }
    ask_all($conf, $ANSWER_SECONDS, \%requests) if %requests && !$why;
    return $why;
}

# The own vote first: without it the others need not count up. They are given until the agent renews. Returns why
# the own vote cannot be given.
sub take_grants {
    my ($conf, $guest, $q, $verdict) = @_;
    my ($name, $self) = ($guest->{name}, $conf->{self});
    $q->{stage} = 'granted';
    my $own = vote($conf, $guest, { op => 'grant', kind => 'start', server => $self, epoch => $verdict->{epoch} });
    my ($answers, $silent) = ({}, {});
    if ($own->{verdict} eq 'ok') {
        my $granted = sub { return { map { $_ => $_[0]{$_} } grep { $_[0]{$_}{verdict} eq 'ok' } keys %{ $_[0] } } };
        my $enough = sub { return decide({ %$q, permit => 0, answers => $granted->($_[0]) })->{verdict} eq 'start' };
        ($answers, $silent) = consult($conf, $guest, $own, ['grant', $self, 'start', "$name=$verdict->{epoch}"], $enough);
        $answers = $granted->($answers);
    }
    elsif ($own->{reason}) { return $own->{reason} }
    $q->{silent} = { %{ $q->{silent} }, %$silent };
    $q->{heard} = $q->{answers};
    $q->{answers} = $answers;
    return undef;
}

sub passed {
    my ($guest, $vmid, $verdict, $self) = @_;
    my $name = $guest->{name};
    unlink permit_file($name);
    if ($verdict->{verdict} eq 'pass') {
        write_mark('permitted', $vmid, at => uptime());
        say_and_note('warning', "$name ($vmid) starts on $self by a person's permission, without a majority of voters");
    }
    else {
        remove_mark('permitted', $vmid);
        note('notice', "$name ($vmid) starts on $self, epoch $verdict->{epoch}");
    }
    # After a power cut the boot helper starts the id that ran last.
    eval { write_file(path("/var/lib/coldspare/active/$name"), "vmid=$vmid epoch=" . ($verdict->{epoch} // 0) . "\n", 1) };
}

# The own vote counts such a start as well, and looks once more whether the record is still the one that was permitted.
sub use_permit {
    my ($conf, $guest) = @_;
    return eval {
        locked($guest->{name}, sub {
            my $permit = permit($guest, vote_locked($conf, $guest, { op => 'read' })) // return 0;
            my %grant = (op => 'grant', kind => 'start', server => $conf->{self}, epoch => $permit->{epoch});
            return vote_locked($conf, $guest, \%grant)->{verdict} eq 'ok' ? 1 : 0;
        });
    };
}

# What the grants are worth by now; a server that slept between asking and being answered has nothing left. The agent goes on
# from here.
sub begin_lease {
    my ($conf, $guest, $answers) = @_;
    my $lease = renew({ voters => $guest->{voters}, now => uptime(), term => $conf->{term}, until => 0, held => {}, answers => $answers });
    write_validity($guest->{name}, $lease) if $lease->{valid};
    return $lease->{valid};
}

my %WHY = (
    'no-voter' => 'this server has no vote on it',
    'other-id' => 'another copy of it runs or starts on this server already',
    'no-agent' => 'the site runs its guests under leases, and coldspare-agent or the watchdog is not running here',
    self => "this server's own record cannot be used",
    ahead => "this server's own record is newer than what the others hold: a switch was begun and not finished",
    blocked => 'a switch is under way: at the moment no server may run it',
    split => 'the voters do not agree on who may run it',
    fresh => 'a voter has no memory of it yet, and not all voters answer',
    silent => 'too few voters answer',
    other => 'another server may run it',
    'not-granted' => 'no majority of voters granted the start',
    permit => 'the permission was overtaken: the record was changed since',
    late => 'the grants were over before the start could begin',
);
my %WHAT_NOW = (
    'no-voter' => 'Move it back to one of its servers.',
    'other-id' => 'Stop the other copy first.',
    'no-agent' => 'Run: systemctl start watchdog-mux coldspare-agent, then start it again.',
    self => 'Mend what the line of this server says.',
    ahead => "Run the operator's command again (coldspare failover or failback): it goes on where it stopped.",
    blocked => "Run the operator's command again (coldspare failover or failback): it goes on where it stopped.",
    split => "Run the operator's command again (coldspare failover or failback); see who began what with: coldspare-node status",
    fresh => 'Bring the silent voters back, or run on a server that sees all of them: coldspare-node reconcile',
    silent => 'Bring the silent voters or the network between them back; after a power cut coldspare-boot tries again by itself.',
    other => 'To run it here: coldspare failback, or coldspare failover of the other server.',
    'not-granted' => 'Start it again; the record changed, or a voter went silent, while the start was asked for.',
    permit => 'See coldspare-node status for who claimed it; nothing was started.',
    late => 'Start it again. If that happens more than once, this server or its network is too slow for the lease times of the site.',
);

# For a person at night: who said what, what to do, how to override.
sub refusal {
    my ($conf, $guest, $vmid, $q, $verdict) = @_;
    my ($reason, $name) = ($verdict->{reason}, $guest->{name});
    my @lines = ("$conf->{self} must not start $name ($vmid): $WHY{$reason}");
    $lines[0] .= " ($q->{other})" if $reason eq 'other-id';
    my @asked = $reason =~ /^(?:other-id|no-agent)$/ ? () : @{ $guest->{voters} };
    push @lines, map { sprintf '  %-12s %s', $_, voter_words($q, $_) } @asked;
    push @lines, "  $q->{no_consent}" if $q->{no_consent};
    push @lines, "  What to do: $WHAT_NOW{$reason}";
    push @lines, "  To override, when you have made sure yourself that it is off on every other server:",
        "  coldspare-node allow $name --because \"<what you saw>\"   and start it within 10 minutes" unless $reason =~ /^(?:other-id|no-agent)$/;
    return join "\n", @lines;
}

sub voter_words {
    my ($q, $voter) = @_;
    my $answer = ($q->{heard} // $q->{answers})->{$voter};
    my $silence = $q->{silent}{$voter};
    return $answer ? record_words($answer) . ($silence ? "; $silence" : '') : $silence // 'not asked';
}

1;
