package LabZfs::Pool;
# zpool: pools of files whose size is that of a disk; nothing is written into them.
use strict;
use warnings;
use LabZfs::Store;
use LabZfs::Space;
use LabZfs::Props;
use LabZfs::Change;
use LabZfs::Destroy;

sub disk_size {
    my ($path) = @_;
    fail("cannot open '$path': no such device in /dev\nmust be a full path or shorthand device name") unless $path =~ m{^/};
    fail("cannot open '$path': No such file or directory") unless -e $path;
    fail("cannot use '$path': must be a block device or regular file") unless -f $path;
    fail("cannot use '$path': device is too small") if -s $path < 64 * 1024 * 1024;
    return -s $path;
}

# Sizes as `zpool list` shows them count parity as space; what filesystems get does not, and that is what this keeps.
sub size_of {
    my (@words) = @_;
    my ($total, $kind, @disks) = (0, 'stripe');
    my $close = sub {
        return unless @disks;
        my ($least) = sort { $a <=> $b } @disks;
        my $parity = $kind =~ /^raidz([123]?)$/ ? $1 || 1 : 0;
        fail("invalid vdev specification: $kind requires at least " . ($parity + 1) . ' devices') if $parity && @disks <= $parity;
        if ($kind eq 'mirror') { $total += $least }
        elsif ($parity) { $total += $least * (@disks - $parity) }
        else { $total += $_ for @disks }
        @disks = ();
    };
    for my $word (@words) {
        if ($word =~ /^(?:mirror|raidz[123]?)$/) { $close->(); $kind = $word }
        else { push @disks, disk_size($word) }
    }
    $close->();
    usage('missing vdev specification') unless $total;
    return $total;
}

sub create {
    my ($options, $name, @vdevs) = @_;
    usage('missing pool name argument') unless defined $name;
    fail("cannot create '$name': pool already exists") if pool_of($name);
    fail("cannot create '$name': name is reserved") if $name =~ /^(?:mirror|raidz[123]?|spare|log)$/;
    fail("cannot create '$name': invalid character in pool name") unless $name =~ /^[A-Za-z][A-Za-z0-9_.:-]*$/;
    my $id = new_id();
    my %pool = (id => $id, name => $name, guid => LabZfs::Change::new_guid(), size => size_of(@vdevs), vdevs => join ' ', @vdevs);
    $STATE->{pools}{$id} = \%pool;
    my $top = LabZfs::Change::add_dataset($name, 'filesystem');
    set_property($top, split /=/, $_, 2) for @{ $options->{O} // [] };
    $top->{'p:mountpoint'} = $options->{m}[0] if $options->{m};
    LabZfs::Change::make_bytes($top);
    LabZfs::Mount::appear($top);
    return 0;
}

sub one { my ($name) = @_; my $pool = pool_of($name // ''); return $pool && $pool->{name} eq $name ? $pool : fail("cannot open '" . ($name // '') . "': no such pool") }
sub chosen { my (@names) = @_; return @names ? map { one($_) } @names : sort { $a->{name} cmp $b->{name} } values %{ $STATE->{pools} } }

sub property {
    my ($pool, $name, $parsable) = @_;
    my $used = pool_used($pool);
    my %bytes = (size => $pool->{size}, allocated => $used, alloc => $used, free => $pool->{size} - $used);
    return $parsable ? $bytes{$name} : nice($bytes{$name}) if defined $bytes{$name};
    my $share = int(100 * $used / $pool->{size});
    my %values = (name => $pool->{name}, guid => $pool->{guid}, health => 'ONLINE', capacity => $parsable ? $share : "$share%", cap => "$share%", dedupratio => '1.00x',
        dedup => '1.00x', fragmentation => '0%', frag => '0%', expandsize => '-', expandsz => '-', checkpoint => '-', ckpoint => '-', altroot => '-',
        readonly => 'off', autotrim => 'off', ashift => 12, version => '-');
    return $values{$name} if exists $values{$name};
    return 'active' if $name =~ /^feature\@(?:extensible_dataset|bookmarks|encryption|large_blocks|embedded_data|lz4_compress)$/;
    return 'enabled' if $name =~ /^feature\@/;
    return fail("bad property list: invalid property '$name'");
}

sub list {
    my ($options, @names) = @_;
    require LabZfs::List;
    my @columns = map { split /,/ } @{ $options->{o} // ['name,size,allocated,free,checkpoint,expandsize,fragmentation,capacity,dedupratio,health,altroot'] };
    my @rows = map { my $pool = $_; [map { property($pool, $_, $options->{p}) } @columns] } chosen(@names);
    if (!@rows) { print "no pools available\n"; return 0 }
    my %short = (allocated => 'ALLOC', checkpoint => 'CKPOINT', expandsize => 'EXPANDSZ', fragmentation => 'FRAG', capacity => 'CAP', dedupratio => 'DEDUP');
    LabZfs::List::table(\@rows, $options->{H} ? undef : [map { $short{$_} // uc } @columns], []);
    return 0;
}

sub get {
    my ($options, $properties, @names) = @_;
    require LabZfs::List;
    my @fields = map { split /,/ } @{ $options->{o} // ['name,property,value,source'] };
    my @all = $properties eq 'all' ? qw(size capacity health guid free allocated readonly fragmentation feature@encryption feature@bookmarks) : split /,/, $properties;
    my @rows;
    for my $pool (chosen(@names)) {
        for my $name (@all) {
            my %row = (name => $pool->{name}, property => $name, value => property($pool, $name, $options->{p}), source => $name =~ /^feature\@/ ? 'local' : '-');
            push @rows, [map { $row{$_} } @fields];
        }
    }
    LabZfs::List::table(\@rows, $options->{H} ? undef : [map { uc } @fields], []);
    return 0;
}

# A scrub reads every snapshot again and compares it with what was written.
sub scrub {
    my ($options, $name) = @_;
    my $pool = one($name);
    my $errors = 0;
    for my $snapshot (grep { pool_name(full_name($_)) eq $pool->{name} } values %{ $STATE->{snapshots} }) {
        my $kept = map_of_snapshot($snapshot);
        my $found = LabZfs::Space::map_of(snapshot_path($snapshot), block_size($STATE->{datasets}{ $snapshot->{dataset} }));
        $errors++ if born($kept, $found) || born($found, $kept);
    }
    @$pool{qw(scrubbed errors)} = (time, $errors);
    return 0;
}

sub status {
    my ($options, @names) = @_;
    for my $pool (chosen(@names)) {
        my $scan = $pool->{scrubbed} ? 'scrub repaired 0B in 00:00:00 with ' . $pool->{errors} . ' errors on ' . localtime $pool->{scrubbed} : 'none requested';
        print "  pool: $pool->{name}\n state: ONLINE\n  scan: $scan\nconfig:\n\n\tNAME        STATE     READ WRITE CKSUM\n\t$pool->{name}        ONLINE       0     0     ", $pool->{errors} // 0, "\n\n";
        print 'errors: ', $pool->{errors} ? "$pool->{errors} data errors, use '-v' for a list" : 'No known data errors', "\n";
    }
    return 0;
}

sub destroy {
    my ($options, $name) = @_;
    my $pool = one($name);
    LabZfs::Destroy::drop_dataset($_) for reverse sort { $a->{name} cmp $b->{name} } grep { pool_name($_->{name}) eq $name } values %{ $STATE->{datasets} };
    delete $STATE->{pools}{ $pool->{id} };
    return 0;
}

1;
