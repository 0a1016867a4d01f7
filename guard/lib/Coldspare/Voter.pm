package Coldspare::Voter;
# This server's own vote: records and holds on disk.
use strict;
use warnings;
use Exporter 'import';
use Fcntl qw(:flock O_WRONLY O_CREAT);
use Coldspare::System;
use Coldspare::Conf;
use Coldspare::Decisions;
use Coldspare::Guests;

our @EXPORT = qw(locked vote vote_locked consent);

sub record_file { return path("/var/lib/coldspare/records/$_[0]") }
sub hold_file { return path("/var/lib/coldspare/holds/$_[0]") }

# Runs a piece of code while nobody else on this server touches the guest's record or starts the guest.
sub locked {
    my ($name, $code) = @_;
    my $file = path("/run/coldspare/lock/$name");
    make_folder(path('/run/coldspare/lock'));
    sysopen(my $lock, $file, O_WRONLY | O_CREAT, 0600) or die "cannot open $file: $!\n";
    my $end = uptime() + 2;
    until (flock($lock, LOCK_EX | LOCK_NB)) {
        die "$name is busy: its lock is held for more than 2 s\n" if uptime() > $end;
        select(undef, undef, undef, 0.01);
    }
    return $code->();
}

sub load_state {
    my ($conf, $guest) = @_;
    my $file = record_file($guest->{name});
    my %hold = load_hold($conf, $guest->{name});
    my $text = slurp($file);
    if (!defined $text) {
        die "cannot read $file: $!\n" if -e $file;
        return { epoch => 0, server => $guest->{primary}, by => $NOBODY, since => $NOBODY, grants => 0, fresh => 1, %hold };
    }
    my $words = eval { words($text) } // {};
    my $broken = grep { ($words->{$_} // '') !~ /^\d{1,15}$/ } qw(epoch grants);
    $broken ||= ($words->{server} // '') !~ /^(?:$NAME|-)$/ || ($words->{by} // '') eq '';
    die "the record $file is broken (epoch, server, by and the counter of grants must be there); this server has no vote on $guest->{name}. "
        . "Way out: remove the file; the record is learnt again when all other voters answer\n" if $broken;
    return { %$words, since => $words->{since} // $NOBODY, fresh => 0, %hold };
}

# Holds of this boot are exact. One of an earlier boot, one that a power cut tore, or none at all (a voter that was installed anew
# forgot what it granted) counts from boot for a whole term.
sub load_hold {
    my ($conf, $name) = @_;
    my $text = slurp(hold_file($name));
    die 'cannot read ' . hold_file($name) . ": $!\n" if !defined $text && -e hold_file($name);
    return (holder => $NOBODY, until => 0) if !defined $text && uptime() >= $conf->{term};
    my $hold = eval { words($text // '') } // {};
    my $whole = ($hold->{until} // '') =~ /^\d+(\.\d+)?$/ && ($hold->{holder} // '') =~ /^$NAME$/;
    return (holder => $hold->{holder}, until => $hold->{until} + 0) if $whole && ($hold->{boot} // '') eq boot_id();
    my (undef, $state) = apply_operation({ holder => $whole ? $hold->{holder} : 'unknown' }, { op => 'boot', term => $conf->{term} });
    return (holder => $state->{holder}, until => $state->{until});
}

sub store_state {
    my ($name, $old, $new, $durable) = @_;
    if ($old->{fresh} != $new->{fresh} || grep { $old->{$_} ne $new->{$_} } qw(epoch server by grants)) {
        write_file(record_file($name), join(' ', map { "$_=$new->{$_}" } qw(epoch server by since grants)) . "\n", 1);
    }
    if ("$old->{holder} $old->{until}" ne "$new->{holder} $new->{until}") {
        write_file(hold_file($name), 'boot=' . boot_id() . " holder=$new->{holder} until=$new->{until}\n", $durable);
    }
}

# An operation on the own record, under the guest's lock. Returns the answer: verdict, record, grants, hold; or a reason alone when
# the vote is broken or cannot be written: who cannot remember must not promise.
sub vote_locked {
    my ($conf, $guest, $op) = @_;
    my $answer = eval {
        my ($name, $now) = ($guest->{name}, uptime());
        my $state = load_state($conf, $guest);
        my ($verdict, $new) = apply_operation($state, { now => $now, term => $conf->{term}, %$op });
        $new->{since} = time_of_day() if $verdict eq 'ok' && ($new->{epoch} != $state->{epoch} || $new->{by} ne $state->{by});
        # Renewals of the same server come every few seconds and need not outlive a power cut: what an earlier boot held counts
        # for a whole term anyway. Whom it was held for must be known then.
        my $durable = ($op->{kind} // '') ne 'renew' || $new->{holder} ne $state->{holder};
        store_state($name, $state, $new, $durable) if $verdict eq 'ok' && $op->{op} ne 'read';
        my $left = $new->{until} - $now;
        +{ %$new, verdict => $verdict, hold => $left > 0 ? short($left) : 0, sent => $now };
    };
    return $answer // { verdict => 'refused', reason => $@ =~ s/\n+$//r };
}

sub vote {
    my ($conf, $guest, $op) = @_;
    my $answer = eval { locked($guest->{name}, sub { vote_locked($conf, $guest, $op) }) };
    return $answer // { verdict => 'refused', reason => $@ =~ s/\n+$//r };
}

# Ids of the guest whose configuration has not gone to the server that asks: it lies here still, or what ran here last was moved
# to a third server, where it may be running.
sub kept {
    my ($conf, $guest, $to) = @_;
    my @here = grep { config($conf, $guest, $_) } all_ids($guest);
    my ($last) = (slurp(path("/var/lib/coldspare/active/$guest->{name}")) // '') =~ /^vmid=(\d+) /;
    return @here if @here || !defined $last;
    return defined slurp(config_path($guest, $last, $to)) ? () : $last;
}

# Consent of the server that may run the guest: it gives that up, as nothing of the guest runs or starts here. A guard that asks
# for its own start gets it only when Proxmox VE has moved the guest away, configuration and all. Where each side keeps a
# configuration of its own, whose data is the right one is for the operator's command to say: else an old side that comes back
# would take the guest over while this server is still starting.
sub consent {
    my ($conf, $guest, $epoch, $to, $by) = @_;
    my $answer = eval {
        locked($guest->{name}, sub {
            my @running = running_ids($conf, $guest);
            my $start = start_in_progress($guest);
            my @kept = $by =~ /^guard\@/ ? kept($conf, $guest, $to) : ();
            my %op = (self => $conf->{self}, epoch => $epoch, to => $to, by => $by, running => scalar @running, starting => $start ? 1 : 0, kept => scalar @kept);
            my $answer = vote_locked($conf, $guest, { op => 'release', %op });
            return $answer if $answer->{verdict} eq 'ok' || $answer->{reason};
            $answer->{reason}
                = @running ? "$running[0] runs on $conf->{self}"
                : $start ? "a start of $start->{vmid} is in progress on $conf->{self}"
                : @kept ? "$kept[0] did not move from $conf->{self} to $to; a planned switch is for the operator's command"
                : "the record of $conf->{self} is another";
            return $answer;
        });
    };
    return $answer // { verdict => 'refused', reason => $@ =~ s/\n+$//r };
}

1;
