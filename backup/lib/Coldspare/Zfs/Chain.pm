package Coldspare::Zfs::Chain;
# What both sides have of one data set, what has to be sent, and sending it: resumed where it broke off, with the newest common snapshot
# held on both sides.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;
use Coldspare::Zfs::Outcome;
use Coldspare::Zfs::Side;
use Coldspare::Zfs::Transfer;

our @EXPORT = qw(look newest_common own_snapshots bring_up_to_date settle_holds is_free stamp iso time_of say);

sub stamp { my @now = gmtime($_[0] // time); return sprintf '%04d%02d%02dT%02d%02d%02dZ', $now[5] + 1900, $now[4] + 1, @now[3, 2, 1, 0] }
sub iso { my ($time) = @_; my @at = gmtime $time; return sprintf '%04d-%02d-%02dT%02d:%02d:%02dZ', $at[5] + 1900, $at[4] + 1, @at[3, 2, 1, 0] }

# The time in a snapshot's name, which is the point's; that of a snapshot received later is another.
sub time_of {
    my ($name) = @_;
    my ($year, $month, $day, $hour, $minute, $second) = $name =~ /-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/ or return 0;
    my $days = days($year, $month, $day) - days(1970, 1, 1);
    return $days * 86_400 + $hour * 3600 + $minute * 60 + $second;
}
sub days { my ($y, $m, $d) = @_; $y-- if $m <= 2; $m += $m <= 2 ? 9 : -3; return 365 * $y + int($y / 4) - int($y / 100) + int($y / 400) + int((153 * $m + 2) / 5) + $d }

sub say { print "@_\n" }

# A data set as a side has it: { missing } or { set, snapshots, bookmarks }.
sub look {
    my ($side, $dataset) = @_;
    my @lines = ask($side, 'list', $dataset);
    return { missing => 1, name => $dataset, snapshots => [], bookmarks => [] } if $lines[0][0] eq 'missing';
    my ($set) = map { $_->[1] } grep { $_->[0] eq 'dataset' } @lines;
    my %view = (name => $dataset, set => $set);
    $view{snapshots} = [map { $_->[1] } grep { $_->[0] eq 'snapshot' } @lines];
    $view{bookmarks} = [map { $_->[1] } grep { $_->[0] eq 'bookmark' } @lines];
    # What was never completely received is no data set yet.
    $view{begun} = 1 if $set->{token} ne '' && !@{ $view{snapshots} };
    return \%view;
}

# The newest of the source that the copy has, too, by guid: a bookmark of the source does as well.
sub newest_common {
    my ($source, $copy) = @_;
    my %here = map { $_->{guid} => $_ } @{ $copy->{snapshots} };
    my %mark = map { $_->{guid} => "#$_->{name}" } @{ $source->{bookmarks} };
    my %from = (%mark, map { $_->{guid} => "\@$_->{name}" } @{ $source->{snapshots} });
    my ($newest) = grep { $from{ $_->{guid} } } reverse @{ $copy->{snapshots} };
    return undef unless $newest;
    my ($item) = grep { $_->{guid} eq $newest->{guid} } @{ $source->{snapshots} }, @{ $source->{bookmarks} };
    return { guid => $newest->{guid}, name => $newest->{name}, from => $from{ $newest->{guid} }, txg => $item->{txg}, is_newest => $newest->{guid} eq $copy->{snapshots}[-1]{guid} };
}

sub own_snapshots { my ($view, $prefix) = @_; return grep { $_->{name} =~ /^\Q$prefix\E-\d{8}T\d{6}Z$/ } @{ $view->{snapshots} } }

sub is_free { my ($snapshot) = @_; return $snapshot->{holds} eq '' && $snapshot->{clones} eq '' }

sub newest_name { my ($view) = @_; return @{ $view->{snapshots} } ? "$view->{name}\@$view->{snapshots}[-1]{name}" : "$view->{name} (no snapshot)" }

# %link: from, to (sides), tag, prefix, raw, properties (go along), rate, retries, pause, way_out (what a person can do when there is no common snapshot).
# Sends everything of ours that the copy lacks. Returns the bytes that went.
sub bring_up_to_date {
    my ($link, $dataset, $copy) = @_;
    my $bytes = 0;
    for my $attempt (1 .. 1 + $link->{retries}) {
        my $done = eval { $bytes += send_missing($link, $dataset, $copy); 1 };
        return $bytes if $done;
        my $error = $@;
        # What is refused or full will be the same in ten seconds.
        die $error if ref $error || $attempt > $link->{retries} || $error =~ /out of space|quota exceeded/;
        say("$dataset: " . message_of($error) . "; tried again in $link->{pause} s");
        select undef, undef, undef, $link->{pause};
    }
}

sub send_missing {
    my ($link, $dataset, $copy) = @_;
    my ($from, $to) = @$link{qw(from to)};
    my ($source, $target) = (look($from, $dataset), look($to, $copy));
    die "$from->{name} has no data set $dataset\n" if $source->{missing};
    require_sealed($link, $source);
    my $bytes = 0;
    if (($target->{set}{token} // '') ne '') {
        $bytes += resume($link, $source, $target);
        $target = look($to, $copy);
    }
    my @own = own_snapshots($source, $link->{prefix});
    if ($target->{missing}) {
        my $first = $own[-1] // die "$dataset on $from->{name} has no snapshot to send\n";
        say("$dataset: full copy, $first->{name}");
        ask($to, 'parent', $copy);
        return $bytes + send_one($link, $source, $copy, $first, undef);
    }
    my $common = newest_common($source, $target);
    refuse("$dataset on $from->{name} and $copy on $to->{name} have no common snapshot (newest there: " . newest_name($source) . '; newest here: ' . newest_name($target)
        . "). Nothing was changed. $link->{way_out}") unless $common;
    refuse("$copy on $to->{name} has gone on by itself: its newest snapshot " . newest_name($target) . " is not of $from->{name}, whose newest common one is $common->{name} (newest there: "
        . newest_name($source) . "). Nothing was changed. $link->{way_out}") unless $common->{is_newest};
    for my $next (grep { $_->{txg} > $common->{txg} } @own) {
        $bytes += send_one($link, $source, $copy, $next, $common->{from});
        $common = { from => "\@$next->{name}" };
    }
    return $bytes;
}

# An encrypted data set that travels in clear would lie in clear on somebody else's disk.
sub require_sealed {
    my ($link, $source) = @_;
    return if $link->{raw} || $source->{set}{encryption} eq 'off' || $source->{set}{encryption} eq '';
    refuse("$source->{name} on $link->{from}{name} is encrypted and would arrive on $link->{to}{name} in clear: set 'raw: true' for the target (raw=1 in zfs.conf)");
}

sub is_sealed { my ($view) = @_; return $view->{set}{encryption} ne 'off' && $view->{set}{encryption} ne '' ? 1 : 0 }

# The snapshot is held before it goes, so that nobody removes it under a transfer that takes days.
sub send_one {
    my ($link, $source, $copy, $snapshot, $from) = @_;
    ask($link->{from}, 'hold', $link->{tag}, "$source->{name}\@$snapshot->{name}");
    my @send = ('send', $source->{name}, $snapshot->{name}, $from // '', $link->{raw} && is_sealed($source) ? 1 : 0, $link->{properties} ? 1 : 0);
    my $bytes = eval { transfer($link->{from}, \@send, $link->{to}, ['receive', $copy, $link->{writable} ? 0 : 1], $link->{rate}) };
    explain($link, $source, $copy, $@) unless defined $bytes;
    say("$source->{name}\@$snapshot->{name}: $bytes bytes sent" . (defined $from ? '' : ', in full'));
    return $bytes;
}

# What zfs says, and what to do about it.
sub explain {
    my ($link, $source, $copy, $error) = @_;
    my $text = message_of($error);
    refuse("$copy on $link->{to}{name} was changed since the newest common snapshot: $text. Nothing was overwritten. $link->{way_out}") if $text =~ /has been modified|does not\s+match incremental source/;
    die "$link->{to}{name} has no room for $copy: $text. Make room there (zfs list -o space -r), or keep less\n" if $text =~ /out of space|quota exceeded/;
    die $error;
}

sub resume {
    my ($link, $source, $target) = @_;
    say("$source->{name}: an interrupted transfer is continued");
    my $bytes = eval { transfer($link->{from}, ['resume', $source->{name}, $target->{set}{token}], $link->{to}, ['receive', $target->{name}, $link->{writable} ? 0 : 1], $link->{rate}) };
    return $bytes if defined $bytes;
    my $error = $@;
    explain($link, $source, $target->{name}, $error) unless $error =~ /no longer exists|no longer the same|resume token is corrupt|does not go on where/;
    say("$source->{name}: it cannot be continued (" . message_of($error) . '), it begins anew');
    ask($link->{to}, 'abort', $target->{name});
    return 0;
}

# The newest common snapshot keeps the hold, on both sides; those before lose it.
sub settle_holds {
    my ($link, $dataset, $copy) = @_;
    my ($source, $target) = (look($link->{from}, $dataset), look($link->{to}, $copy));
    my $common = newest_common($source, $target) // return undef;
    for my $each ([$link->{from}, $source], [$link->{to}, $target]) {
        my ($side, $view) = @$each;
        next unless grep { $_->{guid} eq $common->{guid} } @{ $view->{snapshots} };
        ask($side, 'hold', $link->{tag}, "$view->{name}\@$common->{name}");
        my @old = grep { $_->{guid} ne $common->{guid} && grep { $_ eq $link->{tag} } split /,/, $_->{holds} } @{ $view->{snapshots} };
        ask($side, 'release', $link->{tag}, map { "$view->{name}\@$_->{name}" } @old) if @old;
    }
    return $common;
}

1;
