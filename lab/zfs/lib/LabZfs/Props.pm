package LabZfs::Props;
# Properties: what may be set, what is inherited, what is computed, and how zfs writes them.
use strict;
use warnings;
use Exporter 'import';
use LabZfs::Store;
use LabZfs::Space;
use LabZfs::Seal;

our @EXPORT = qw(value nice set_property inherit_property parse_size local_properties settable is_user all_properties number_property date_text);

# name => [default, filesystem/volume/both, inherited]
my %SETTABLE = (
    (map { $_ => ['on', 'filesystem', 1] } qw(atime canmount devices exec setuid)),
    (map { $_ => ['off', 'both', 1] } qw(readonly dedup relatime overlay)),
    compression => ['on', 'both', 1], checksum => ['on', 'both', 1], copies => ['1', 'both', 1], sync => ['standard', 'both', 1],
    logbias => ['latency', 'both', 1], primarycache => ['all', 'both', 1], secondarycache => ['all', 'both', 1],
    snapdev => ['hidden', 'both', 1], snapdir => ['hidden', 'filesystem', 1], recordsize => ['131072', 'filesystem', 1],
    xattr => ['sa', 'filesystem', 1], acltype => ['off', 'filesystem', 1], acl => ['off', 'filesystem', 1], aclinherit => ['restricted', 'filesystem', 1],
    dnodesize => ['legacy', 'filesystem', 1], normalization => ['none', 'filesystem', 0], casesensitivity => ['sensitive', 'filesystem', 0],
    utf8only => ['off', 'filesystem', 0], mountpoint => [undef, 'filesystem', 1], quota => ['0', 'filesystem', 0], refquota => ['0', 'filesystem', 0],
    reservation => ['0', 'both', 0], refreservation => ['0', 'both', 0], volsize => [undef, 'volume', 0], volblocksize => ['16384', 'volume', 0],
    volmode => ['default', 'volume', 1], special_small_blocks => ['0', 'both', 1], redundant_metadata => ['all', 'both', 1],
    encryption => ['off', 'both', 0], keyformat => ['none', 'both', 0], keylocation => ['none', 'both', 0], pbkdf2iters => ['0', 'both', 0],
);
my %BYTES = map { $_ => 1 } qw(used available referenced written logicalused logicalreferenced usedbydataset usedbysnapshots usedbychildren
    usedbyrefreservation volsize volblocksize recordsize quota refquota reservation refreservation);
my @COMPUTED = qw(type creation used available referenced compressratio mounted origin createtxg guid written logicalused logicalreferenced
    usedbydataset usedbysnapshots usedbychildren usedbyrefreservation encryptionroot keystatus receive_resume_token userrefs defer_destroy
    clones name objsetid refcompressratio);
my %COMPUTED = map { $_ => 1 } @COMPUTED;
my %SHORT = (avail => 'available', refer => 'referenced', usedds => 'usedbydataset', usedsnap => 'usedbysnapshots', compress => 'compression',
    rdonly => 'readonly', refreserv => 'refreservation', volblock => 'volblocksize', ratio => 'compressratio', lused => 'logicalused');

sub is_user { return $_[0] =~ /^[a-z0-9_.-]*:[a-z0-9:_.-]*$/ }
sub settable { return exists $SETTABLE{ $_[0] } || is_user($_[0]) }
sub number_property { return $BYTES{ $_[0] } || $_[0] =~ /^written\@|^createtxg$|^creation$|^guid$/ ? 1 : 0 }

sub nice {
    my ($bytes) = @_;
    my @units = ('B', qw(K M G T P));
    my ($value, $unit) = ($bytes, 0);
    while ($value >= 1024 && $unit < $#units) { $value /= 1024; $unit++ }
    return "$bytes$units[0]" if $unit == 0;
    return int($value) . $units[$unit] if $value == int $value;
    for my $digits (2, 1, 0) { my $text = sprintf "%.${digits}f%s", $value, $units[$unit]; return $text if length $text <= 5 || $digits == 0 }
}

sub parse_size {
    my ($text, $what) = @_;
    my ($number, $unit) = ($text // '') =~ /^(\d+(?:\.\d+)?)([KMGTP]?)(?:i?B)?$/i or fail("bad numeric value '" . ($text // '') . "'" . ($what ? " for '$what'" : ''));
    return int($number * 1024**index(' KMGTP', uc($unit || ' ')));
}

# Where a data set's value comes from: (value, source).
sub set_value {
    my ($object, $property) = @_;
    my $definition = $SETTABLE{$property};
    my $inherits = is_user($property) || ($definition && $definition->[2]);
    my $name = $object->{dataset} ? full_name($object) : $object->{name};
    return ($object->{"p:$property"}, 'local') if exists $object->{"p:$property"};
    return ($object->{"r:$property"}, 'received') if exists $object->{"r:$property"};
    return (undef, undef) unless $inherits;
    for (my $above = $object->{dataset} ? $name =~ s/@.*//r : parent_name($name); defined $above; $above = parent_name($above)) {
        my $holder = dataset($above) or next;
        for my $kind ('p', 'r') {
            next unless exists $holder->{"$kind:$property"};
            my $value = $holder->{"$kind:$property"};
            $value .= substr($name, length $above) if $property eq 'mountpoint' && $value =~ m{^/};
            return ($value =~ s{^//}{/}r, "inherited from $above");
        }
    }
    return (undef, undef);
}

sub computed {
    my ($object, $property) = @_;
    my $is_snapshot = defined $object->{dataset};
    my $dataset = $is_snapshot ? $STATE->{datasets}{ $object->{dataset} } : $object;
    return $is_snapshot ? ($object->{bookmark} ? 'bookmark' : 'snapshot') : $object->{type} if $property eq 'type';
    return $is_snapshot ? full_name($object, $object->{bookmark} ? '#' : '@') : $object->{name} if $property eq 'name';
    return $object->{$property} if $property =~ /^(?:guid|createtxg|creation)$/;
    return $object->{id} if $property eq 'objsetid';
    return '1.00x' if $property =~ /ratio$/;
    return undef if $object->{bookmark};
    return sealed_status($dataset) if $property eq 'keystatus';
    return $dataset->{encryptionroot} ? $STATE->{datasets}{ $dataset->{encryptionroot} }{name} : undef if $property eq 'encryptionroot';
    return $is_snapshot ? of_snapshot($dataset, $object, $property) : of_dataset($object, $property);
}

sub of_snapshot {
    my ($dataset, $snapshot, $property) = @_;
    return scalar grep { /^h:/ } keys %$snapshot if $property eq 'userrefs';
    return $snapshot->{defer} ? 'on' : 'off' if $property eq 'defer_destroy';
    return join(',', map { $_->{name} } grep { ($_->{origin} // '') eq $snapshot->{id} } values %{ $STATE->{datasets} }) if $property eq 'clones';
    return bytes_of(map_of_snapshot($snapshot)) if $property =~ /^(?:logical)?referenced$/;
    my @all = snapshots_of($dataset);
    my ($at) = grep { $all[$_]{id} eq $snapshot->{id} } 0 .. $#all;
    my $map = map_of_snapshot($snapshot);
    my $origin = $STATE->{snapshots}{ $dataset->{origin} // '' };
    my $before = $at > 0 ? map_of_snapshot($all[$at - 1]) : $origin ? map_of_snapshot($origin) : {};
    return born($map, $before) if $property eq 'written';
    my $after = $at < $#all ? map_of_snapshot($all[$at + 1]) : map_of_live($dataset);
    my %alone = map { $_ => $map->{$_} } grep { !$before->{$_} || $before->{$_}[0] ne $map->{$_}[0] } keys %$map;
    return born(\%alone, $after) if $property =~ /^(?:logical)?used$/;
    return undef;
}

sub of_dataset {
    my ($dataset, $property) = @_;
    return $dataset->{mounted} ? 'yes' : 'no' if $property eq 'mounted' && $dataset->{type} eq 'filesystem';
    return $dataset->{origin} ? full_name($STATE->{snapshots}{ $dataset->{origin} }) : undef if $property eq 'origin';
    if ($property eq 'receive_resume_token') { return undef unless -e "$ROOT/partial/$dataset->{id}/head"; require LabZfs::Receive; return LabZfs::Receive::token_of($dataset) }
    return available(pool_of($dataset->{name})) + ($dataset->{refreservation} ? sizes_of($dataset)->{reserved} : 0) if $property eq 'available';
    return undef unless $property =~ /^(?:logical)?(?:used|referenced|written)/;
    my $sizes = sizes_of($dataset);
    my $below = 0;
    $below += sizes_of($_)->{used} for $property =~ /used$|children/ ? descendants($dataset->{name}) : ();
    my %values = (used => $sizes->{used} + $below, logicalused => $sizes->{used} + $below, referenced => $sizes->{referenced},
        logicalreferenced => $sizes->{referenced}, written => $sizes->{written}, usedbydataset => $sizes->{written}, usedbysnapshots => $sizes->{snapshots},
        usedbychildren => $below, usedbyrefreservation => $sizes->{reserved});
    return $values{$property};
}

# (value, source) of a property as zfs shows it; ('-', '-') where it has none.
sub value {
    my ($object, $property, $parsable) = @_;
    $property = $SHORT{$property} // $property;
    my ($value, $source) = raw_value($object, $property);
    return ('-', '-') unless defined $value && $value ne '';
    return ($value, $source) if $parsable || !($BYTES{$property} || $property =~ /^written\@|^creation$/);
    return (date_text($value), $source) if $property eq 'creation';
    return ($value eq '0' && $property =~ /quota|reserv/ ? 'none' : nice($value), $source);
}

sub date_text { require POSIX; return POSIX::strftime('%a %b %e %H:%M %Y', localtime $_[0]) }

sub raw_value {
    my ($object, $property) = @_;
    my $dataset = $object->{dataset} ? $STATE->{datasets}{ $object->{dataset} } : $object;
    return (computed($object, $property), '-') if $COMPUTED{$property};
    if ($property =~ /^written\@(.+)$/) {
        my ($snapshot) = grep { $_->{name} eq $1 } snapshots_of($dataset);
        return ($snapshot && !$object->{dataset} ? written_since($dataset, $snapshot) : undef, '-');
    }
    if (is_user($property)) { return $object->{bookmark} ? () : set_value($object, $property) }
    my $definition = $SETTABLE{$property} // usage("bad property list: invalid property '$property'");
    return () if $object->{bookmark} || $definition->[1] !~ /^(?:both|\Q$dataset->{type}\E)$/;
    return ($object->{dataset} ? $object->{volsize} : $dataset->{volsize}, 'local') if $property eq 'volsize';
    return ($dataset->{volblocksize}, '-') if $property eq 'volblocksize';
    return () if $object->{dataset} && $property !~ /^(?:encryption|casesensitivity|utf8only|normalization|devices|exec|setuid|xattr|acltype)$/;
    return ($dataset->{refreservation} // 0, 'local') if $property eq 'refreservation';
    return (sealed_property($dataset, $property), '-') if $property =~ /^(?:encryption|keyformat|keylocation|pbkdf2iters)$/;
    my ($value, $source) = set_value($object, $property);
    return ($value, $source) if defined $value;
    return ("/$dataset->{name}", 'default') if $property eq 'mountpoint';
    return ($definition->[0], 'default');
}

sub all_properties {
    my ($object) = @_;
    my %user;
    for (my $holder = $object; $holder;) {
        $user{$1} = 1 for map { /^[pr]:(.*:.*)$/ ? $1 : () } keys %$holder;
        my $above = $holder->{dataset} ? $STATE->{datasets}{ $holder->{dataset} }{name} : parent_name($holder->{name});
        $holder = defined $above ? dataset($above) : undef;
    }
    return (@COMPUTED, (sort keys %SETTABLE), sort keys %user);
}

sub set_property {
    my ($object, $property, $value, $kind) = @_;
    my $name = $object->{dataset} ? full_name($object) : $object->{name};
    my $no = "cannot set property for '$name'";
    fail("$no: '$property' is readonly") if $COMPUTED{$property} || $property =~ /^(?:volblocksize|encryption|normalization|casesensitivity)$/;
    fail("$no: invalid property '$property'") unless settable($property);
    fail("$no: this property can not be modified for snapshots") if $object->{dataset} && !is_user($property);
    fail("$no: property value too long") if length $value > 8192;
    my $definition = $SETTABLE{$property};
    fail("$no: '$property' does not apply to datasets of this type") if $definition && $definition->[1] !~ /^(?:both|\Q$object->{type}\E)$/;
    fail("$no: '$property' must be one of 'on | off'") if $definition && ($definition->[0] // '') =~ /^(?:on|off)$/
        && $property !~ /^(?:compression|checksum|dedup|acltype|acl|canmount)$/ && $value !~ /^(?:on|off)$/;
    if ($property eq 'volsize') { require LabZfs::Change; return LabZfs::Change::resize_volume($object, parse_size($value, $property)) }
    if ($property eq 'refreservation') { $object->{refreservation} = $value eq 'none' ? 0 : $value eq 'auto' ? $object->{volsize} : parse_size($value, $property); return }
    $value = $value eq 'none' ? 0 : parse_size($value, $property) if $BYTES{$property};
    if ($property eq 'keylocation') { $object->{keylocation} = $value; return }
    $object->{ ($kind // 'p') . ":$property" } = $value;
}

sub inherit_property {
    my ($object, $property, $received) = @_;
    my $name = $object->{dataset} ? full_name($object) : $object->{name};
    fail("'$property' property cannot be inherited") unless is_user($property) || ($SETTABLE{$property} && $SETTABLE{$property}[2]);
    delete $object->{"p:$property"};
    delete $object->{"r:$property"} unless $received;
}

# What `send -p` takes along.
sub local_properties {
    my ($object) = @_;
    my %found;
    for my $kind ('r', 'p') { for my $key (keys %$object) { $found{$1} = $object->{$key} if $key =~ /^\Q$kind\E:(.+)$/ } }
    return \%found;
}

1;
