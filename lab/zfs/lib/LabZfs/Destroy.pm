package LabZfs::Destroy;
# What takes something away or gives it another place: destroy, rollback, rename, clone, promote.
use strict;
use warnings;
use Fcntl qw(:flock);
use LabZfs::Store;
use LabZfs::Space;
use LabZfs::Props;
use LabZfs::Seal;
use LabZfs::Mount;
use LabZfs::Change;

# Whether a process sends it now: each sender keeps a file with the ids of its snapshots locked.
sub is_sent {
    my ($snapshot) = @_;
    opendir(my $dir, "$ROOT/sending") or return 0;
    for my $file (map { "$ROOT/sending/$_" } grep { /^\d/ } readdir $dir) {
        open(my $in, '+<', $file) or next;
        if (flock($in, LOCK_EX | LOCK_NB)) { unlink $file; next }
        my $ids = <$in> // '';
        return 1 if grep { $_ eq $snapshot->{id} } split ' ', $ids;
    }
    return 0;
}

sub is_received {
    my ($dataset) = @_;
    open(my $in, '+<', "$ROOT/partial/$dataset->{id}/spool") or return 0;
    return flock($in, LOCK_EX | LOCK_NB) ? 0 : 1;
}

sub is_open {
    my ($dataset) = @_;
    my $file = live_path($dataset);
    return 0 if $dataset->{type} ne 'volume';
    return scalar grep { (readlink($_) // '') eq $file } glob '/proc/[0-9]*/fd/*';
}

sub clones_of { my ($snapshot) = @_; return sort { $a->{name} cmp $b->{name} } grep { ($_->{origin} // '') eq $snapshot->{id} } values %{ $STATE->{datasets} } }

sub drop_snapshot {
    my ($snapshot) = @_;
    remove_bytes(snapshot_path($snapshot));
    forget_map($snapshot);
    delete $STATE->{snapshots}{ $snapshot->{id} };
}

sub drop_bookmark { my ($mark) = @_; forget_map($mark); delete $STATE->{bookmarks}{ $mark->{id} } }

sub drop_dataset {
    my ($dataset) = @_;
    vanish($dataset);
    drop_snapshot($_) for snapshots_of($dataset);
    drop_bookmark($_) for bookmarks_of($dataset);
    remove_bytes(live_path($dataset));
    remove_bytes("$ROOT/partial/$dataset->{id}");
    # Snapshots that moved to a clone by its promotion still lie here.
    my $used = grep { $_->{store} eq $dataset->{id} } values %{ $STATE->{snapshots} };
    remove_bytes("$ROOT/data/$dataset->{id}") unless $used;
    delete $STATE->{datasets}{ $dataset->{id} };
}

# 'a@x', 'a@x,y', 'a@x%z', 'a@%' as the snapshots they mean.
sub in_range {
    my ($dataset, $text) = @_;
    my @all = snapshots_of($dataset);
    my %at = map { $all[$_]{name} => $_ } 0 .. $#all;
    return map {
        if (/^([^%]*)%([^%]*)$/) {
            my ($first, $last) = ($1 eq '' ? 0 : $at{$1}, $2 eq '' ? $#all : $at{$2});
            defined $first && defined $last ? @all[$first .. $last] : ();
        }
        else { defined $at{$_} ? $all[$at{$_}] : () }
    } split /,/, $text;
}

sub destroy_snapshots {
    my ($name, $options) = @_;
    my ($of, $text) = split /@/, $name, 2;
    my @found = map { in_range($_, $text) } dataset_or_fail($of), $options->{r} || $options->{R} ? descendants($of) : ();
    fail("could not find any snapshots to destroy; check snapshot names.") unless @found;
    my (@out, @wrong);
    for my $snapshot (@found) {
        my $full = full_name($snapshot);
        my @clones = clones_of($snapshot);
        if (@clones && !$options->{R} && !$options->{d}) {
            fail("cannot destroy '$full': snapshot has dependent clones\nuse '-R' to destroy the following datasets:\n" . join "\n", map { $_->{name} } @clones);
        }
        my $is_kept = LabZfs::Change::is_kept($snapshot) && !(@clones && $options->{R});
        push @wrong, "cannot destroy snapshot $full: dataset is busy" if is_sent($snapshot) || ($is_kept && !$options->{d});
    }
    fail(join "\n", @wrong) if @wrong;
    my $bytes = 0;
    for my $snapshot (@found) {
        push @out, $options->{p} ? "destroy\t" . full_name($snapshot) : ($options->{n} ? 'would' : 'will') . ' destroy ' . full_name($snapshot);
        $bytes += (value($snapshot, 'used', 1))[0];
        next if $options->{n};
        if ($options->{R}) { drop_dataset($_) for clones_of($snapshot) }
        if (LabZfs::Change::is_kept($snapshot)) { $snapshot->{defer} = 1 }
        else { drop_snapshot($snapshot) }
    }
    push @out, $options->{p} ? "reclaim\t$bytes" : ($options->{n} ? 'would' : 'will') . ' reclaim ' . nice($bytes);
    return $options->{v} || $options->{p} ? @out : ();
}

sub destroy {
    my ($name, $options) = @_;
    return destroy_snapshots($name, $options) if $name =~ /@/;
    if ($name =~ /^([^#]+)#(.+)$/) {
        my ($mark) = grep { $_->{name} eq $2 } bookmarks_of(dataset_or_fail($1));
        fail("bookmark '$name' does not exist.") unless $mark;
        drop_bookmark($mark) unless $options->{n};
        return;
    }
    my $top = dataset_or_fail($name);
    my $no = "cannot destroy '$name'";
    fail("$no: operation does not apply to pools\nuse 'zfs destroy -r $name' to destroy all datasets in the pool\nuse 'zpool destroy $name' to destroy the pool itself")
        if !defined parent_name($name) && !$options->{r} && !$options->{R};
    my @all = ($top, descendants($name));
    my @inside = map { my $each = $_; ($each->{id} ne $top->{id} ? $each->{name} : ()), map { full_name($_) } snapshots_of($each) } @all;
    fail("$no: $top->{type} has children\nuse '-r' to destroy the following datasets:\n" . join "\n", @inside) if @inside && !$options->{r} && !$options->{R};
    my %ours = map { $_->{id} => 1 } @all;
    my @clones = grep { !$ours{ $_->{id} } } map { clones_of($_) } map { snapshots_of($_) } @all;
    fail("$no: $top->{type} has dependent clones\nuse '-R' to destroy the following datasets:\n" . join "\n", map { $_->{name} } @clones) if @clones && !$options->{R};
    for my $each (@all) {
        fail("cannot destroy '$each->{name}': dataset is busy") if is_open($each) || is_received($each) || grep { is_sent($_) } snapshots_of($each);
        for my $snapshot (snapshots_of($each)) { fail("cannot destroy snapshot " . full_name($snapshot) . ": dataset is busy") if grep { /^h:/ } keys %$snapshot }
    }
    my @out = map { ($options->{n} ? 'would' : 'will') . " destroy $_->{name}" } @clones, reverse @all;
    if (!$options->{n}) { for my $each (@clones, reverse @all) { drop_dataset($each) if defined parent_name($each->{name}) } }
    return $options->{v} ? @out : ();
}

# Puts the bytes of a snapshot back in place.
sub set_live {
    my ($dataset, $snapshot) = @_;
    my $live = live_path($dataset);
    copy_bytes(snapshot_path($snapshot), "$live.new");
    remove_bytes($live);
    rename("$live.new", $live) or fail("cannot put $live in place: $!");
    if (defined $snapshot->{volsize}) {
        $dataset->{refreservation} = $snapshot->{volsize} if ($dataset->{refreservation} // 0) == ($dataset->{volsize} // -1);
        $dataset->{volsize} = $snapshot->{volsize};
    }
    remount_below($dataset);
}

sub rollback {
    my ($name, $options) = @_;
    my $snapshot = snapshot_or_fail($name);
    my $dataset = $STATE->{datasets}{ $snapshot->{dataset} };
    my @newer = grep { $_->{createtxg} > $snapshot->{createtxg} } snapshots_of($dataset);
    my @marks = grep { $_->{createtxg} > $snapshot->{createtxg} } bookmarks_of($dataset);
    if ((@newer || @marks) && !$options->{r} && !$options->{R}) {
        my @names = ((map { full_name($_) } @newer), map { full_name($_, '#') } @marks);
        fail("cannot rollback to '$name': more recent snapshots or bookmarks exist\nuse '-r' to force deletion of the following snapshots and bookmarks:\n" . join "\n", @names);
    }
    my @clones = map { clones_of($_) } @newer;
    fail("cannot rollback to '$name': clones of previous snapshots exist\nuse '-R' to force deletion of the following clones and dependents:\n" . join "\n", map { $_->{name} } @clones)
        if @clones && !$options->{R};
    fail("cannot rollback '$dataset->{name}': dataset is busy") if is_received($dataset);
    for my $each (@newer) { fail('cannot destroy snapshot ' . full_name($each) . ': dataset is busy') if is_sent($each) || grep { /^h:/ } keys %$each }
    drop_dataset($_) for @clones;
    drop_snapshot($_) for @newer;
    drop_bookmark($_) for @marks;
    set_live($dataset, $snapshot);
}

# Runs a change of names and moves bytes whose place follows the name.
sub moving {
    my ($change, @objects) = @_;
    my $place = sub { my ($object) = @_; return $object->{dataset} ? snapshot_path($object) : live_path($object) };
    my %before = map { $_->{id} => $place->($_) } @objects;
    $change->();
    for my $object (@objects) {
        my $after = $place->($object);
        next if $after eq $before{ $object->{id} } || !-e $before{ $object->{id} };
        move_bytes($before{ $object->{id} }, $after);
    }
}

sub rename_to {
    my ($from, $to, $options) = @_;
    my $no = "cannot rename '$from'";
    if ($from =~ /^([^@]+)@(.+)$/) {
        my $snapshot = snapshot_or_fail($from);
        my $new = $to =~ /@(.+)$/ ? $1 : $to;
        fail("$no: dataset already exists") if snapshot("$1\@$new") || grep { $_->{name} eq $new } snapshots_of($STATE->{datasets}{ $snapshot->{dataset} });
        return moving(sub { $snapshot->{name} = $new }, $snapshot);
    }
    my $dataset = dataset_or_fail($from);
    LabZfs::Change::valid_name($to, $no);
    fail("$no: datasets must be within same pool") if pool_name($from) ne pool_name($to);
    fail("$no: New dataset name cannot be a descendant of current dataset name") if index("$to/", "$from/") == 0;
    fail("$no: dataset already exists") if dataset($to);
    LabZfs::Change::create(parent_name($to), { p => 1 }) if $options->{p} && !dataset(parent_name($to) // '');
    LabZfs::Change::require_parent($to, $no);
    fail("$no: dataset is busy") if is_received($dataset);
    my @all = ($dataset, descendants($from));
    my @mounted = grep { $_->{mounted} } @all;
    vanish($_) for reverse @all;
    moving(sub { $_->{name} = $to . substr $_->{name}, length $from for @all }, map { $_, snapshots_of($_) } @all);
    for my $each (@all) { my $id = $each->{id}; appear($each, $options->{u} || !grep { $_->{id} eq $id } @mounted) }
}

sub clone {
    my ($from, $to, $options) = @_;
    my $snapshot = snapshot_or_fail($from);
    my $no = "cannot create '$to'";
    LabZfs::Change::valid_name($to, $no);
    fail("$no: dataset already exists") if dataset($to);
    fail("$no: source and target pools differ") if pool_name($from) ne pool_name($to);
    LabZfs::Change::create(parent_name($to), { p => 1 }) if $options->{p} && !dataset(parent_name($to) // '');
    LabZfs::Change::require_parent($to, $no);
    my $of = $STATE->{datasets}{ $snapshot->{dataset} };
    my %more = map { defined $of->{$_} ? ($_ => $of->{$_}) : () } qw(volblocksize encryption encryptionroot salt);
    $more{volsize} = $snapshot->{volsize} if defined $snapshot->{volsize};
    my $clone = LabZfs::Change::add_dataset($to, $of->{type}, { %more, origin => $snapshot->{id} });
    copy_bytes(snapshot_path($snapshot), live_path($clone));
    for my $each (@{ $options->{o} // [] }) { my ($property, $value) = split /=/, $each, 2; set_property($clone, $property, $value) }
    appear($clone, $options->{u});
    return $clone;
}

# The clone takes over the snapshots up to its origin; what it was cloned from becomes its clone.
sub promote {
    my ($name) = @_;
    my $clone = dataset_or_fail($name);
    my $origin = $STATE->{snapshots}{ $clone->{origin} // '' } // fail("cannot promote '$name': not a cloned filesystem");
    my $parent = $STATE->{datasets}{ $origin->{dataset} };
    my @moved = grep { $_->{createtxg} <= $origin->{createtxg} } snapshots_of($parent);
    my %taken = map { $_->{name} => 1 } snapshots_of($clone);
    my ($conflict) = grep { $taken{ $_->{name} } } @moved;
    fail("cannot promote '$name': snapshot name '" . full_name($conflict) . "' from origin \nconflicts with '$name\@$conflict->{name}' from target") if $conflict;
    moving(sub { $_->{dataset} = $clone->{id} for @moved }, @moved);
    my $above = $parent->{origin};
    $parent->{origin} = $origin->{id};
    if (defined $above) { $clone->{origin} = $above } else { delete $clone->{origin} }
}

1;
