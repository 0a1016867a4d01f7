package Coldspare::Zfs::Replica;
# The volumes of one guest on two servers: points that are consistent over all disks, and the ways to and from the other side.
use strict;
use warnings;
use Coldspare::System;
use Coldspare::Zfs::Outcome;
use Coldspare::Zfs::Conf;
use Coldspare::Zfs::Side;
use Coldspare::Zfs::Verbs;
use Coldspare::Zfs::Chain;
use Coldspare::Zfs::State;
use Coldspare::Zfs::Report;

my $PREFIX = 'coldspare-replica';
my %COMMANDS = (sync => \&sync, points => \&points, activate => \&activate, rollback => \&rollback, reverse => \&reverse_side, passive => \&passive, status => \&status);

sub replica {
    my ($command, @words) = @_;
    my $code = $COMMANDS{ $command // '' } // wrong_use('use: coldspare-zfs replica ' . join('|', sort keys %COMMANDS) . ' GUEST; see docs/zfs.md');
    return $code->(@words);
}

sub state_name { return "replica-$_[0]{name}" }

# A container's quota and kind of access lists are properties, so they go along.
sub link_of {
    my ($conf, $replica) = @_;
    return { from => side($conf, '-'), to => side($conf, $replica->{other}), tag => "coldspare:" . state_name($replica), prefix => $PREFIX, raw => $replica->{raw}, properties => 1,
        rate => $replica->{rate}, retries => $replica->{retries}, pause => $replica->{pause},
        way_out => "Decide which side is right; on that server: coldspare-zfs replica reverse $replica->{name} makes the other one a copy again and keeps what it has" };
}

# Only the side that may run the guest sends: the guard's record says which that is.
sub require_active {
    my ($conf, $replica) = @_;
    my $text = slurp(path("/var/lib/coldspare/records/$replica->{name}")) // return;
    my $record = eval { words($text) } // {};
    my $server = $record->{server} // $NOBODY;
    return if $server eq $conf->{self};
    refuse("$replica->{name}: the record says that " . ($server eq $NOBODY ? 'nobody' : $server) . " may run it (epoch $record->{epoch}), so $conf->{self} sends nothing");
}

# Names of points here that every volume has, oldest first, with the bytes they refer to.
sub complete_points {
    my ($replica, @views) = @_;
    my (%count, %bytes);
    for my $view (@views) { for my $each (own_snapshots($view, $PREFIX)) { $count{ $each->{name} }++; $bytes{ $each->{name} } += $each->{bytes} || 0 } }
    return map { { name => $_, volumes => $count{$_}, bytes => $bytes{$_}, complete => $count{$_} == @views ? 1 : 0 } } sort keys %count;
}

sub done { my ($replica, @pairs) = @_; print 'done ', Coldspare::Zfs::Report::line(guest => $replica->{name}, @pairs), "\n" }

sub sync {
    my ($name) = @_;
    my $conf = conf();
    my $replica = replica_of($conf, $name);
    return exclusively(state_name($replica), sub {
        require_active($conf, $replica);
        my $result = recorded(state_name($replica), sub { sync_once($conf, $replica) });
        done($replica, point => $result->{point}, bytes => $result->{bytes}, volumes => scalar @{ $replica->{volumes} });
    });
}

sub sync_once {
    my ($conf, $replica) = @_;
    my $link = link_of($conf, $replica);
    require Coldspare::Zfs::Job;
    my $point = Coldspare::Zfs::Job::new_point($link, @{ $replica->{volumes} });
    my $bytes = 0;
    $bytes += bring_up_to_date($link, $_, $_) for @{ $replica->{volumes} };
    settle_holds($link, $_, $_) for @{ $replica->{volumes} };
    prune($link, $replica, $_) for $link->{from}, $link->{to};
    return { bytes => $bytes, point => $point, newest => iso(time_of($point)) };
}

# The newest complete points stay, and whatever is held or newer than the oldest of them.
sub prune {
    my ($link, $replica, $side) = @_;
    my @views = map { look($side, $_) } @{ $replica->{volumes} };
    my @complete = map { $_->{name} } grep { $_->{complete} } complete_points($replica, @views);
    return if @complete <= $replica->{keep};
    my $oldest_kept = $complete[-$replica->{keep}];
    for my $view (@views) {
        my @gone = grep { $_->{name} lt $oldest_kept && is_free($_) } own_snapshots($view, $PREFIX);
        ask($side, 'destroy', map { "$view->{name}\@$_->{name}" } @gone) if @gone;
    }
}

sub points {
    my ($options, $name) = taken({ plain => 0 }, @_);
    my $conf = conf();
    my $replica = replica_of($conf, $name);
    my $link = link_of($conf, $replica);
    my @views = map { look($link->{from}, $_) } @{ $replica->{volumes} };
    my @common = grep { my $each = $_; grep { $_ eq $link->{tag} } split /,/, $each->{holds} } map { @{ $_->{snapshots} } } @views;
    my %held;
    $held{ $_->{name} }++ for @common;
    for my $point (reverse complete_points($replica, @views)) {
        my $words = Coldspare::Zfs::Report::line(point => $point->{name}, guest => $replica->{name}, at => iso(time_of($point->{name})), server => $conf->{self}, volumes => $point->{volumes},
            of => scalar @views, complete => $point->{complete} ? 'yes' : 'no', bytes => $point->{bytes}, common => ($held{ $point->{name} } // 0) == @views ? 'yes' : 'no');
        print $options->{plain} ? "$words\n" : "$point->{name}" . ($point->{complete} ? '' : "  incomplete: $point->{volumes} of " . @views . ' volumes') . "  $point->{bytes} bytes\n";
    }
    print "end\n" if $options->{plain};
    return;
}

sub look_here { my ($replica) = @_; return map { look({ name => 'here' }, $_) } @{ $replica->{volumes} } }

# The point that is meant: that of the name, or the newest complete one.
sub chosen_point {
    my ($replica, $wanted, @views) = @_;
    my @complete = grep { $_->{complete} } complete_points($replica, @views);
    refuse("$replica->{name} has no complete point on this server: not all of @{ $replica->{volumes} } have one in common") unless @complete;
    return $complete[-1]{name} unless defined $wanted;
    my ($found) = grep { $_->{name} eq $wanted } @complete;
    return $found ? $found->{name} : wrong_use("$replica->{name} has no complete point '$wanted' here; the newest are " . join(', ', map { $_->{name} } grep { defined } (reverse @complete)[0 .. 4]));
}

# A volume that was being set aside when the power went is not there: only then is its way back known already.
sub finish_interrupted {
    my ($replica) = @_;
    for my $volume (@{ $replica->{volumes} }) {
        next unless look({ name => 'here' }, $volume)->{missing};
        my $file = path("/var/lib/coldspare/zfs/" . state_name($replica) . '.aside');
        my $point = slurp($file) // refuse("$volume is not there. zfs list -t all -r " . $volume =~ s{/.*}{}r);
        chomp $point;
        verb('aside', $volume, $point, stamp());
    }
}

sub note_aside { my ($replica, $point) = @_; write_file(path("/var/lib/coldspare/zfs/" . state_name($replica) . '.aside'), "$point\n", 1) }

# Puts a volume to a point; what is newer is kept under another name unless it is to be discarded. Returns the name.
sub put_back {
    my ($replica, $view, $point, $discard, $stamp) = @_;
    my $is_there = $view->{snapshots}[-1]{name} eq $point && !($view->{set}{written} || 0);
    return () if $is_there;
    if ($discard) { verb('rollback', $view->{name}, $point); say("$view->{name}: rolled back to $point"); return () }
    my ($kept) = verb('aside', $view->{name}, $point, $stamp);
    verb('readonly', $view->{name}, 1) if $view->{set}{readonly} eq 'on';
    say("$view->{name}: at $point; what was newer is $kept->[1]{name}");
    return $kept->[1]{name};
}

sub to_point {
    my ($replica, $wanted, $discard) = @_;
    finish_interrupted($replica);
    my @views = look_here($replica);
    my $point = chosen_point($replica, $wanted, @views);
    Coldspare::Zfs::Verbs::require_stopped($_) for @{ $replica->{volumes} };
    note_aside($replica, $point);
    my $stamp = stamp();
    my @kept;
    for my $view (@views) {
        if (($view->{set}{token} // '') ne '') { verb('abort', $view->{name}); say("$view->{name}: what was half received is given up") }
        # Half a point (some volumes only) is of no use to anybody; a volume that was written to is.
        my $is_half = !defined $wanted && !($view->{set}{written} || 0);
        push @kept, put_back($replica, $view, $point, $discard || $is_half, $stamp);
    }
    unlink path("/var/lib/coldspare/zfs/" . state_name($replica) . '.aside');
    return ($point, @kept);
}

sub kept_text { return @_ ? join(',', @_) : '-' }

sub activate {
    my ($options, $name) = taken({ point => 1, discard => 0 }, @_);
    my $conf = conf();
    my $replica = replica_of($conf, $name);
    return exclusively(state_name($replica), sub {
        my @views = look_here($replica);
        my $is_active = !grep { $_->{missing} || $_->{set}{readonly} ne 'off' || $_->{set}{token} ne '' } @views;
        if ($is_active && !defined $options->{point}) {
            # Its volumes are newer than any point: nothing may be put back.
            say("$name is active on $conf->{self} already: nothing was changed");
            return done($replica, point => chosen_point($replica, undef, @views), kept => '-');
        }
        my ($point, @kept) = to_point($replica, $options->{point}, $options->{discard});
        verb('readonly', $_, 0) for @{ $replica->{volumes} };
        say("$name: @{ $replica->{volumes} } can be written to");
        done($replica, point => $point, kept => kept_text(@kept));
    });
}

sub rollback {
    my ($options, $name, $wanted) = taken({ discard => 0 }, @_);
    my $replica = replica_of(conf(), $name);
    wrong_use('use: coldspare-zfs replica rollback GUEST POINT [--discard]') unless defined $wanted;
    return exclusively(state_name($replica), sub {
        my ($point, @kept) = to_point($replica, $wanted, $options->{discard});
        done($replica, point => $point, kept => kept_text(@kept));
    });
}

sub passive {
    my ($name) = @_;
    my $replica = replica_of(conf(), $name);
    return exclusively(state_name($replica), sub {
        Coldspare::Zfs::Verbs::require_stopped($_) for @{ $replica->{volumes} };
        verb('readonly', $_, 1) for @{ $replica->{volumes} };
        done($replica);
    });
}

# The newest point that all volumes have on both sides, by guid.
sub common_point {
    my ($replica, $here, $there) = @_;
    my %count;
    for my $at (0 .. $#$here) {
        my %guids = map { $_->{name} => $_->{guid} } @{ $there->[$at]{snapshots} };
        $count{ $_->{name} }++ for grep { ($guids{ $_->{name} } // '') eq $_->{guid} } own_snapshots($here->[$at], $PREFIX);
    }
    my ($newest) = reverse sort grep { $count{$_} == @$here } keys %count;
    return $newest;
}

sub reverse_side {
    my ($options, $name) = taken({ discard => 0 }, @_);
    my $conf = conf();
    my $replica = replica_of($conf, $name);
    return exclusively(state_name($replica), sub {
        require_active($conf, $replica);
        my $link = link_of($conf, $replica);
        my ($from, @kept) = make_room_there($conf, $replica, $link, $options->{discard});
        my $result = recorded(state_name($replica), sub { sync_once($conf, $replica) });
        done($replica, from => $from, point => $result->{point}, kept => kept_text(@kept), bytes => $result->{bytes});
    });
}

# The other side as it was at the newest common point, so that sending can go on from there.
sub make_room_there {
    my ($conf, $replica, $link, $discard) = @_;
    my @here = look_here($replica);
    my @there = map { look($link->{to}, $_) } @{ $replica->{volumes} };
    return ('-') unless grep { !$_->{missing} } @there;
    my $point = common_point($replica, \@here, \@there) // common_after_interruption($replica, $link, \@there);
    if (!defined $point) {
        my $newest = sub { join(', ', map { @{ $_->{snapshots} } ? "$_->{name}\@$_->{snapshots}[-1]{name}" : "$_->{name} (no snapshot)" } @_) };
        refuse("$replica->{name}: no common point of $conf->{self} and $link->{to}{name} over all volumes (newest here: " . $newest->(@here) . '; newest there: ' . $newest->(@there)
            . "). Nothing was changed. Set the volumes on $link->{to}{name} aside by hand (zfs rename VOLUME POOL/coldspare-kept-...) and run reverse again: it then sends them in full");
    }
    say("$replica->{name}: newest common point of both sides is $point");
    my ($stamp, @kept) = (stamp());
    for my $view (@there) {
        ask($link->{to}, 'abort', $view->{name}) if ($view->{set}{token} // '') ne '';
        my $is_there = !$view->{missing} && $view->{snapshots}[-1]{name} eq $point && !($view->{set}{written} || 0);
        if (!$is_there && $discard && !$view->{missing}) { ask($link->{to}, 'rollback', $view->{name}, $point); say("$view->{name} on $link->{to}{name}: rolled back to $point, what was newer is gone") }
        elsif (!$is_there) {
            my ($kept) = ask($link->{to}, 'aside', $view->{name}, $point, $stamp);
            push @kept, $kept->[1]{name};
            say("$view->{name} on $link->{to}{name}: what it had is kept as $kept->[1]{name}");
        }
        ask($link->{to}, 'readonly', $view->{name}, 1);
    }
    return ($point, @kept);
}

# A volume there that was renamed but not cloned when the power went: the others say which point it was.
sub common_after_interruption {
    my ($replica, $link, $there) = @_;
    return undef unless grep { $_->{missing} } @$there;
    my @whole = grep { !$there->[$_]{missing} } 0 .. $#$there;
    my @here = look_here($replica);
    return common_point($replica, [@here[@whole]], [@$there[@whole]]);
}

sub status {
    my ($options, $name) = taken({ plain => 0 }, @_);
    my $conf = conf();
    for my $each (defined $name ? $name : sort keys %{ $conf->{replicas} }) {
        my $replica = replica_of($conf, $each);
        my $state = state_of(state_name($replica));
        my @complete = grep { $_->{complete} } complete_points($replica, look_here($replica));
        my $newest = @complete ? iso(time_of($complete[-1]{name})) : '';
        my %shown = (%$state, newest => $newest);
        my @words = (guest => $each, server => $conf->{self}, peer => $replica->{other}, map { $_ => $shown{$_} } qw(state at began seconds bytes newest error));
        print $options->{plain} ? Coldspare::Zfs::Report::line(@words) . "\n" : "$each  $shown{state}  newest complete point " . ($newest || 'none') . ($shown{error} ? ": $shown{error}" : '') . "\n";
    }
    print "end\n" if $options->{plain};
    return;
}

1;
