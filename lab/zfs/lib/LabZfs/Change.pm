package LabZfs::Change;
# What makes and removes data sets and snapshots. The texts of errors are those of libzfs.
use strict;
use warnings;
use LabZfs::Store;
use LabZfs::Space;
use LabZfs::Props;
use LabZfs::Seal;
use LabZfs::Mount;

sub new_guid { my $guid = ''; $guid .= int(rand 10) for 1 .. 18; return (1 + int rand 9) . $guid }

sub valid_name {
    my ($name, $no) = @_;
    fail("$no: name is too long") if length $name > 255;
    fail("$no: empty component or misplaced '\@' or '#' delimiter in name") if $name =~ m{//|/$|^/|\@.*\@|\@$|#$|^$};
    fail("$no: invalid character '$1' in name") if $name =~ m{([^A-Za-z0-9_.:/ \@#-])};
}

# Registers a data set; its bytes are the caller's.
sub add_dataset {
    my ($name, $type, $more) = @_;
    my $dataset = { id => new_id(), name => $name, type => $type, guid => new_guid(), createtxg => next_txg(), creation => time, %{ $more // {} } };
    $STATE->{datasets}{ $dataset->{id} } = $dataset;
    return $dataset;
}

sub make_bytes {
    my ($dataset) = @_;
    my $live = live_path($dataset);
    LabZfs::Store::make_folder($live =~ s{/[^/]+$}{}r);
    if ($dataset->{type} eq 'filesystem' && !is_guest($dataset)) { LabZfs::Store::make_folder($live); return }
    open(my $out, '>', $live) or fail("cannot make $live: $!");
    truncate $out, $dataset->{volsize} unless is_guest($dataset);
}

sub require_parent {
    my ($name, $no) = @_;
    my $above = parent_name($name) // fail("$no: missing dataset name");
    fail("$no: no such pool '" . pool_name($name) . "'") unless pool_of($name);
    my $parent = dataset($above) // fail("$no: parent does not exist");
    fail("$no: parent is not a filesystem") if $parent->{type} ne 'filesystem';
    return $parent;
}

sub create {
    my ($name, $options) = @_;
    my $no = "cannot create '$name'";
    valid_name($name, $no);
    if (dataset($name)) { return if $options->{p}; fail("$no: dataset already exists") }
    if ($options->{p} && pool_of($name)) {
        my $above = parent_name($name);
        create($above, { p => 1 }) if defined $above && !dataset($above);
    }
    require_parent($name, $no);
    my %wanted = map { /^([^=]+)=(.*)$/s ? ($1 => $2) : usage("missing '=' for property=value argument") } @{ $options->{o} // [] };
    my $is_volume = $options->{V};
    my $block = parse_size($options->{b} // delete $wanted{volblocksize} // 16_384);
    my %more;
    if ($is_volume) {
        my $size = parse_size($is_volume, 'volsize');
        fail("$no: volume size must be a multiple of volume block size") if $size % $block || $size == 0;
        fail("$no: out of space") if !$options->{s} && $size > available(pool_of($name));
        %more = (volsize => $size, volblocksize => $block, refreservation => $options->{s} ? 0 : $size);
    }
    my $dataset = add_dataset($name, $is_volume ? 'volume' : 'filesystem', \%more);
    my %sealing = map { exists $wanted{$_} ? ($_ => delete $wanted{$_}) : () } qw(encryption keyformat keylocation pbkdf2iters);
    make_sealed($dataset, \%sealing);
    set_property($dataset, $_, $wanted{$_}) for sort keys %wanted;
    make_bytes($dataset);
    appear($dataset, $options->{u});
    return $dataset;
}

sub resize_volume {
    my ($dataset, $size) = @_;
    my $no = "cannot set property for '$dataset->{name}'";
    fail("$no: size is greater than available space") if $dataset->{refreservation} && $size - $dataset->{volsize} > available(pool_of($dataset->{name}));
    $dataset->{refreservation} = $size if ($dataset->{refreservation} // 0) == $dataset->{volsize};
    $dataset->{volsize} = $size;
    truncate live_path($dataset), $size unless is_guest($dataset);
}

# All or none, as one transaction.
sub take_snapshots {
    my ($recursive, $properties, @names) = @_;
    my @all;
    for my $name (@names) {
        my ($of, $short) = $name =~ /^([^@]+)@([^@]+)$/ or usage("invalid snapshot name '$name'");
        valid_name($name, "cannot create snapshot '$name'");
        my $top = dataset_or_fail($of);
        push @all, map { [$_, $short] } $top, $recursive ? grep { !$_->{inconsistent} } descendants($of) : ();
    }
    for my $each (@all) {
        my $name = "$each->[0]{name}\@$each->[1]";
        fail("cannot create snapshot '$name': dataset already exists\nno snapshots were created") if snapshot($name);
        fail("cannot create snapshot '$name': out of space\nno snapshots were created")
            if $each->[0]{refreservation} && sizes_of($each->[0])->{written} > available(pool_of($each->[0]{name}));
    }
    my $txg = next_txg();
    return map { add_snapshot($_->[0], $_->[1], { createtxg => $txg, %$properties }) } @all;
}

sub add_snapshot {
    my ($dataset, $name, $more) = @_;
    my $snapshot = { id => new_id(), dataset => $dataset->{id}, store => $dataset->{id}, name => $name, guid => new_guid(),
        creation => time, defined $dataset->{volsize} ? (volsize => $dataset->{volsize}) : (), %$more };
    $STATE->{snapshots}{ $snapshot->{id} } = $snapshot;
    copy_bytes(live_path($dataset), snapshot_path($snapshot));
    clear_mounts(snapshot_path($snapshot));
    map_of_snapshot($snapshot);
    return $snapshot;
}

# A copy of a folder has the links by which other filesystems are mounted in it.
sub clear_mounts {
    my ($folder) = @_;
    return unless -d $folder;
    my @left = ($folder);
    while (defined(my $at = shift @left)) {
        opendir(my $dir, $at) or next;
        for my $path (map { "$at/$_" } grep { $_ ne '.' && $_ ne '..' } readdir $dir) {
            if (-l $path) { if (index(readlink($path), "$ROOT/data/") == 0) { unlink $path; mkdir $path } }
            elsif (-d $path) { push @left, $path }
        }
    }
}

sub bookmark {
    my ($from, $to) = @_;
    my ($of, $name) = $to =~ /^([^#]*)#(.+)$/ or usage("invalid bookmark name '$to'");
    my $no = "cannot create bookmark '$to'";
    my ($source_of, $source_name) = $from =~ /^([^\@#]+)[\@#](.+)$/ or usage("invalid snapshot or bookmark name '$from'");
    my $dataset = dataset_or_fail($source_of);
    my ($source) = grep { $_->{name} eq $source_name } $from =~ /#/ ? bookmarks_of($dataset) : snapshots_of($dataset);
    fail("$no: source does not exist") unless $source;
    fail("$no: not an ancestor of the new bookmark's dataset") if $of ne '' && $of ne $source_of;
    fail("$no: bookmark exists") if grep { $_->{name} eq $name } bookmarks_of($dataset);
    # A bookmark knows what was in its snapshot, not the bytes.
    my %copy = map { $_ => $source->{$_} } qw(guid createtxg creation);
    my $mark = { id => new_id(), dataset => $dataset->{id}, name => $name, bookmark => 1, map => $source->{map} // $source->{id}, %copy };
    map_of_snapshot($source) unless $source->{bookmark};
    my $kept = "$ROOT/maps/$mark->{id}";
    copy_bytes("$ROOT/maps/$source->{id}", $kept);
    delete $mark->{map};
    $STATE->{bookmarks}{ $mark->{id} } = $mark;
}

sub hold {
    my ($recursive, $tag, @names) = @_;
    for my $snapshot (with_namesakes($recursive, @names)) {
        fail("cannot hold snapshot '" . full_name($snapshot) . "': tag already exists on this dataset") if exists $snapshot->{"h:$tag"};
        $snapshot->{"h:$tag"} = time;
    }
}

sub release {
    my ($recursive, $tag, @names) = @_;
    for my $snapshot (with_namesakes($recursive, @names)) {
        fail("cannot release hold from snapshot '" . full_name($snapshot) . "': no such tag on this dataset") unless exists $snapshot->{"h:$tag"};
        delete $snapshot->{"h:$tag"};
        if ($snapshot->{defer} && !is_kept($snapshot)) { require LabZfs::Destroy; LabZfs::Destroy::drop_snapshot($snapshot) }
    }
}

sub with_namesakes {
    my ($recursive, @names) = @_;
    return map {
        my ($of, $short) = /^([^@]+)@(.+)$/ or usage("'$_' is not a snapshot");
        my @found = grep { defined } map { snapshot("$_->{name}\@$short") } $recursive ? (dataset_or_fail($of), descendants($of)) : dataset_or_fail($of);
        @found ? @found : open_name($_);
    } @names;
}

sub is_kept {
    my ($snapshot) = @_;
    return 1 if grep { /^h:/ } keys %$snapshot;
    return scalar grep { ($_->{origin} // '') eq $snapshot->{id} } values %{ $STATE->{datasets} };
}

1;
