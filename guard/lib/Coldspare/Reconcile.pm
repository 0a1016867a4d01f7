package Coldspare::Reconcile;
# One round of putting right what drifted: own and lagging records, marks of old sides, hook scripts, guests that Proxmox VE moved.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;
use Coldspare::Conf;
use Coldspare::Decisions;
use Coldspare::Voter;
use Coldspare::Peers;
use Coldspare::Guests;

our @EXPORT = qw(reconcile reconcile_all read_voters spread);

my $HOOKSCRIPT = 'local:snippets/coldspare-guard';
my $DIVERGED = 'coldspare-diverged';

sub reconcile {
    my $conf = eval { conf() };
    if (!$conf) { print STDERR "coldspare: $@"; return 1 }
    my @done = reconcile_all($conf);
    print map { "$_\n" } @done ? @done : 'nothing to do';
    return 0;
}

# Returns what was done, in words.
sub reconcile_all {
    my ($conf) = @_;
    my @done;
    my $heard = read_voters($conf, map { $conf->{guests}{$_} } sort keys %{ $conf->{guests} });
    my %pushes;
    for my $guest (map { $conf->{guests}{$_} } sort keys %{ $conf->{guests} }) {
        my $answers = $heard->{ $guest->{name} };
        push @done, learn($conf, $guest, $answers, \%pushes);
        next unless $conf->{hypervisor};
        my $record = majority_record($guest->{voters}, $answers);
        push @done, take_migrated($conf, $guest, $record);
        push @done, tidy($conf, $guest, $record);
    }
    push @done, push_records($conf, \%pushes);
    note('notice', $_) for @done;
    return @done;
}

# What each voter says of each guest: one request per peer.
sub read_voters {
    my ($conf, @guests) = @_;
    my (%names, %heard);
    for my $guest (@guests) {
        push @{ $names{$_} }, $guest->{name} for @{ $guest->{voters} };
        my $own = is_voter($conf->{self}, @{ $guest->{voters} }) ? vote($conf, $guest, { op => 'read' }) : {};
        $heard{ $guest->{name} } = defined $own->{epoch} ? { $conf->{self} => $own } : {};
    }
    delete $names{ $conf->{self} };
    for my $ask (ask_all($conf, $ANSWER_SECONDS, { map { $_ => ['read', @{ $names{$_} }] } keys %names })) {
        my $answers = $ask->{answers} // {};
        for my $name (grep { $heard{$_} && defined $answers->{$_}{epoch} } keys %$answers) { $heard{$name}{ $ask->{peer} } = $answers->{$name} }
    }
    return \%heard;
}

# The record that a voter may be brought to: what a majority holds; for voters without memory, when all answer, the newest there
# is, as whatever they forgot is then still known to one of the others.
sub truth_for {
    my ($guest, $answers, $voter) = @_;
    my $mine = $answers->{$voter} // return undef;
    my @remembered = grep { !$_->{fresh} } values %$answers;
    if ($mine->{fresh}) {
        return undef if keys %$answers < @{ $guest->{voters} };
        my ($newest) = sort { $b->{epoch} <=> $a->{epoch} } @remembered;
        return $newest // { epoch => 0, server => $mine->{server}, by => $NOBODY };
    }
    my $record = majority_record($guest->{voters}, $answers) // return undef;
    return $record->{epoch} > $mine->{epoch} ? $record : undef;
}

# What a person allowed here is told to voters that could not be reached then, until a majority knows it: else the other side,
# back again, finds a majority for itself. One that has seen something newer denies it.
sub spread {
    my ($conf, $answers, $voter) = @_;
    my ($own, $theirs) = @$answers{ $conf->{self}, $voter };
    return undef unless $own && $theirs && $voter ne $conf->{self} && $own->{server} eq $conf->{self};
    return undef unless $own->{by} =~ /^allow\@\Q$conf->{self}\E-/ && $theirs->{epoch} < $own->{epoch};
    return $own;
}

sub learn {
    my ($conf, $guest, $answers, $pushes) = @_;
    my @done;
    for my $voter (@{ $guest->{voters} }) {
        my $truth = spread($conf, $answers, $voter) // truth_for($guest, $answers, $voter) // next;
        if ($voter ne $conf->{self}) {
            push @{ $pushes->{$voter}{ $truth->{by} } }, "$guest->{name}=$truth->{epoch}\@$truth->{server}";
            next;
        }
        my $own = vote($conf, $guest, { op => 'claim', epoch => $truth->{epoch}, server => $truth->{server}, by => $truth->{by} });
        push @done, "$guest->{name}: learnt epoch $truth->{epoch}, server $truth->{server}" if $own->{verdict} eq 'ok';
    }
    return @done;
}

# Voters that lag behind hear it from whoever sees it first; a witness runs no agent of its own.
sub push_records {
    my ($conf, $pushes) = @_;
    my @done;
    while (my @peers = grep { %{ $pushes->{$_} } } sort keys %$pushes) {
        my %requests;
        for my $peer (@peers) {
            my ($by) = sort keys %{ $pushes->{$peer} };
            $requests{$peer} = ['claim', $by, @{ delete $pushes->{$peer}{$by} }];
        }
        for my $ask (ask_all($conf, $ANSWER_SECONDS, \%requests)) {
            my $told = join ' ', grep { $ask->{answers}{$_}{verdict} eq 'ok' } sort keys %{ $ask->{answers} // {} };
            push @done, "$ask->{peer} was told who may run $told" if $told ne '';
        }
    }
    return @done;
}

# Somebody moved the guest here with Proxmox VE's own migration: the server of the record consents, as it runs there no more.
sub take_migrated {
    my ($conf, $guest, $record) = @_;
    my ($name, $self) = ($guest->{name}, $conf->{self});
    return () if !$record || $record->{server} eq $self || $record->{server} eq $NOBODY || !is_voter($self, @{ $guest->{voters} });
    my @here = grep { config($conf, $guest, $_) } running_ids($conf, $guest);
    return () unless @here;
    my ($epoch, $by) = ($record->{epoch}, "guard\@$self");
    my ($ask) = ask_all($conf, $ANSWER_SECONDS, { $record->{server} => ['release', $by, $self, "$name=$epoch"] });
    my $answer = $ask->{answers} && $ask->{answers}{$name} || {};
    if (($answer->{verdict} // '') ne 'ok') {
        my $why = $ask->{silence} // $answer->{reason} // 'denied';
        my $text = "$name ($here[0]) runs on $self, but only $record->{server} may run it and does not give it up: $why.";
        note('crit', "$text If it runs there too, stop one of the two now; then: coldspare status");
        return ();
    }
    vote($conf, $guest, { op => 'claim', epoch => $epoch + 1, server => $self, by => $by });
    my @others = grep { $_ ne $self && $_ ne $record->{server} } @{ $guest->{voters} };
    ask_all($conf, $ANSWER_SECONDS, { map { $_ => ['claim', $by, $name . '=' . ($epoch + 1) . "\@$self"] } @others });
    return "$name: runs here since it was migrated; $record->{server} gave it up";
}

# Hook scripts that are missing; autostart and marks of sides that must not run.
sub tidy {
    my ($conf, $guest, $record) = @_;
    my @done;
    my $elsewhere = $record && $record->{server} ne $conf->{self} && $record->{server} ne $NOBODY;
    for my $vmid (all_ids($guest)) {
        my $config = config($conf, $guest, $vmid) // next;
        my %set = settings($conf, $guest, $vmid, $config, $elsewhere);
        next unless %set;
        if (($config->{lock} // '') ne '') { note('notice', "$vmid is locked ($config->{lock}): set later"); next }
        my ($code, $text) = run(20, tool($guest), 'set', $vmid, map { ("--$_", $set{$_}) } sort keys %set);
        if ($code != 0) { note('error', "$vmid: cannot set " . join(', ', sort keys %set) . ": $text"); next }
        push @done, "$guest->{name} ($vmid): set " . join(', ', map { "$_ $set{$_}" } sort keys %set);
        mark_diverged($guest, $vmid, $record) if $set{tags};
    }
    return @done;
}

sub settings {
    my ($conf, $guest, $vmid, $config, $elsewhere) = @_;
    my %set;
    if (($config->{hookscript} // '') eq '') {
        # Not while the guard is being removed: the script would go, and a guest that names it could not start any more.
        $set{hookscript} = $HOOKSCRIPT if -e path('/var/lib/vz/snippets/coldspare-guard') && !-e path('/etc/coldspare/retired');
    }
    elsif ($config->{hookscript} ne $HOOKSCRIPT) {
        note('error', "$guest->{name} ($vmid) has another hook script ($config->{hookscript}): nothing guards its starts. Set $HOOKSCRIPT, or let yours call it");
    }
    return %set unless $elsewhere;
    $set{onboot} = 0 if ($config->{onboot} // 0) eq '1';
    my $old_side = $guest->{primary} eq $conf->{self} && grep { $_ == $vmid } ids_here($conf, $guest);
    my @tags = split /[;, ]+/, $config->{tags} // '';
    $set{tags} = join ';', @tags, $DIVERGED if $old_side && !grep { $_ eq $DIVERGED } @tags;
    return %set;
}

sub mark_diverged {
    my ($guest, $vmid, $record) = @_;
    my $file = path("/var/lib/coldspare/diverged/$guest->{name}");
    eval { write_file($file, "vmid=$vmid epoch=$record->{epoch} server=$record->{server} since=" . time_of_day() . "\n", 1) } unless -e $file;
}

1;
