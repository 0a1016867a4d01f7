package LabZfs::Space;
# What is in a snapshot, block by block, and from that what it takes: a block counts where it was first written.
# A map is { key => [checksum, bytes] }; a volume's keys are numbers of blocks, a filesystem's are paths with their blocks.
use strict;
use warnings;
use Exporter 'import';
use Digest::SHA qw(sha1_hex);
use LabZfs::Store;

our @EXPORT = qw(map_of_snapshot map_of_live forget_map bytes_of born block_size entries sizes_of written_since
    available pool_used pool_usable is_modified);

our $RECORD_SIZE = 131_072;
# lseek(2) of Linux.
my $SEEK_DATA = 3;

sub block_size { my ($dataset) = @_; return $dataset->{type} eq 'volume' ? $dataset->{volblocksize} // 16_384 : $RECORD_SIZE }

# Entries of a folder: { path => [kind, mode, mtime, size or target] }; what is mounted below is not of this filesystem.
sub entries {
    my ($folder) = @_;
    my %found;
    my @left = ('');
    while (defined(my $at = shift @left)) {
        opendir(my $dir, "$folder$at") or next;
        for my $name (sort grep { $_ ne '.' && $_ ne '..' } readdir $dir) {
            my $path = "$at/$name";
            my @stat = lstat "$folder$path" or next;
            if (-l _) {
                my $target = readlink "$folder$path";
                $found{$path} = ['symlink', 0, 0, $target] unless index($target, "$ROOT/data/") == 0;
            }
            elsif (-d _) { $found{$path} = ['folder', $stat[2] & 07777, 0, 0]; push @left, $path }
            elsif (-f _) { $found{$path} = ['file', $stat[2] & 07777, $stat[9], $stat[7]] }
        }
    }
    return \%found;
}

# Holes are passed over, as a volume of many GiB with a few blocks in it must not take minutes.
sub map_file {
    my ($file, $size, $prefix, $map) = @_;
    open(my $in, '<:raw', $file) or fail("cannot read $file: $!");
    my $at = 0;
    while (defined(my $data = sysseek $in, $at, $SEEK_DATA)) {
        my $number = int($data / $size);
        sysseek $in, $number * $size, 0;
        # A pipe could give less; a file gives less at its end only.
        my $got = sysread $in, my $block, $size or last;
        $map->{"$prefix$number"} = [sha1_hex($block), $got] if $block =~ tr/\0//c;
        $at = ($number + 1) * $size;
    }
}

sub map_of {
    my ($path, $size) = @_;
    my %map;
    if (!-d $path) { map_file($path, $size, '', \%map) if -e $path; return \%map }
    my $entries = entries($path);
    for my $name (keys %$entries) {
        my $entry = $entries->{$name};
        $map{"m$name"} = [sha1_hex(join ' ', @$entry), 512];
        map_file("$path$name", $size, "b$name\0", \%map) if $entry->[0] eq 'file';
    }
    return \%map;
}

sub map_of_live { my ($dataset) = @_; return map_of(live_path($dataset), block_size($dataset)) }
sub forget_map { my ($snapshot) = @_; unlink "$ROOT/maps/$snapshot->{id}" }

sub map_of_snapshot {
    my ($snapshot) = @_;
    my $file = "$ROOT/maps/$snapshot->{id}";
    if (open(my $in, '<', $file)) {
        my %map = map { chomp; my ($key, @value) = split / /; decode($key) => \@value } <$in>;
        return \%map;
    }
    my $map = map_of(snapshot_path($snapshot), block_size($STATE->{datasets}{ $snapshot->{dataset} }));
    open(my $out, '>', "$file.new") or fail("cannot write $file: $!");
    print $out map { encode($_) . " $map->{$_}[0] $map->{$_}[1]\n" } sort keys %$map;
    close $out or fail("cannot write $file: $!");
    rename("$file.new", $file);
    return $map;
}

sub bytes_of { my ($map) = @_; my $sum = 0; $sum += $_->[1] for values %$map; return $sum }

# Bytes of a map that the one before it has not.
sub born {
    my ($map, $before) = @_;
    my $sum = 0;
    for my $key (keys %$map) { $sum += $map->{$key}[1] unless $before->{$key} && $before->{$key}[0] eq $map->{$key}[0] }
    return $sum;
}

sub origin_map { my ($dataset) = @_; my $origin = $STATE->{snapshots}{ $dataset->{origin} // '' }; return $origin ? map_of_snapshot($origin) : {} }

sub newest_map {
    my ($dataset) = @_;
    my $newest = newest_snapshot($dataset);
    return $newest ? map_of_snapshot($newest) : origin_map($dataset);
}

# used, referenced, written and what used is made of.
sub sizes_of {
    my ($dataset) = @_;
    my ($before, $snapshots) = (origin_map($dataset), 0);
    for my $snapshot (snapshots_of($dataset)) {
        my $map = map_of_snapshot($snapshot);
        $snapshots += born($map, $before);
        $before = $map;
    }
    my $live = map_of_live($dataset);
    my $written = born($live, $before);
    my $reserved = ($dataset->{refreservation} // 0) - $written;
    $reserved = 0 if $reserved < 0;
    my $spool = -s "$ROOT/partial/$dataset->{id}/spool" || 0;
    return { referenced => bytes_of($live), written => $written, used => $snapshots + $written + $reserved + $spool,
        reserved => $reserved, snapshots => $snapshots };
}

# written@SNAPSHOT: what came since, in the data set as it is.
sub written_since { my ($dataset, $snapshot) = @_; return born(map_of_live($dataset), map_of_snapshot($snapshot)) }

sub is_modified {
    my ($dataset) = @_;
    my $newest = newest_snapshot($dataset) or return 0;
    my ($live, $then) = (map_of_live($dataset), map_of_snapshot($newest));
    return born($live, $then) > 0 || born($then, $live) > 0 ? 1 : 0;
}

# The pool keeps 1/32 of its size to itself, at least 128 MiB but not more than half of it (spa_misc.c).
sub pool_usable {
    my ($pool) = @_;
    my $slop = $pool->{size} / 32;
    my $least = $pool->{size} / 2 < 134_217_728 ? $pool->{size} / 2 : 134_217_728;
    $slop = $least if $slop < $least;
    return int($pool->{size} - $slop);
}
sub pool_used { my ($pool) = @_; my $sum = 0; $sum += sizes_of($_)->{used} for grep { pool_name($_->{name}) eq $pool->{name} } values %{ $STATE->{datasets} }; return $sum }
sub available { my ($pool) = @_; my $free = pool_usable($pool) - pool_used($pool); return $free > 0 ? $free : 0 }

1;
