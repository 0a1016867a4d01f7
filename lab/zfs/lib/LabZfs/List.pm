package LabZfs::List;
# zfs list and zfs get.
use strict;
use warnings;
use LabZfs::Store;
use LabZfs::Props;

my %TYPES = (filesystem => 'filesystem', fs => 'filesystem', volume => 'volume', vol => 'volume', snapshot => 'snapshot', snap => 'snapshot', bookmark => 'bookmark');

sub wanted_types {
    my ($options, $default) = @_;
    my %wanted;
    for my $type (map { split /,/ } @{ $options->{t} // [$default] }) {
        if ($type eq 'all') { @wanted{qw(filesystem volume snapshot bookmark)} = (1) x 4; next }
        $wanted{ $TYPES{$type} // usage("invalid type '$type'") } = 1;
    }
    return \%wanted;
}

sub with_inner {
    my ($dataset, $wanted) = @_;
    return (($wanted->{ $dataset->{type} } ? $dataset : ()), inner($dataset, $wanted));
}
sub inner {
    my ($dataset, $wanted) = @_;
    return (($wanted->{snapshot} ? snapshots_of($dataset) : ()), ($wanted->{bookmark} ? bookmarks_of($dataset) : ()));
}

# The objects that names, -r, -d and -t mean.
sub selected {
    my ($options, $wanted, @names) = @_;
    my $depth = defined $options->{d} ? $options->{d}[-1] : $options->{r} ? 1_000 : undef;
    return map { with_inner($_, $wanted) } LabZfs::Store::sorted_datasets() unless @names;
    my @found;
    for my $name (@names) {
        if ($name =~ /@/) { push @found, snapshot_or_fail($name); next }
        if ($name =~ /^([^#]+)#(.+)$/) { push @found, (grep { $_->{name} eq $2 } bookmarks_of(dataset_or_fail($1)))[0] // open_name($name); next }
        my $dataset = dataset_or_fail($name);
        my $is_inner = ($wanted->{snapshot} || $wanted->{bookmark}) && !$wanted->{filesystem} && !$wanted->{volume};
        # `zfs list -t snapshot tank/x` shows the snapshots of tank/x.
        my $levels = $depth // ($is_inner ? 1 : 0);
        push @found, $dataset if $wanted->{ $dataset->{type} };
        push @found, inner($dataset, $wanted) if $levels > 0;
        for my $below (descendants($name)) {
            my $level = () = substr($below->{name}, length $name) =~ m{/}g;
            next if !defined $depth || $level > $depth;
            push @found, $below if $wanted->{ $below->{type} };
            push @found, inner($below, $wanted) if $level + 1 <= $depth;
        }
    }
    my %seen;
    return grep { !$seen{ ($_->{dataset} // '') . ":$_->{id}" }++ } @found;
}

sub sorted {
    my ($options, @objects) = @_;
    my @keys = (map({ [$_, 1] } @{ $options->{s} // [] }), map({ [$_, -1] } @{ $options->{S} // [] }));
    return @objects unless @keys;
    my %cache;
    my $of = sub { my ($object, $key) = @_; return $cache{"$object"}{$key} //= (value($object, $key, 1))[0] };
    return sort {
        my $order = 0;
        for my $key (@keys) {
            my ($x, $y) = ($of->($a, $key->[0]), $of->($b, $key->[0]));
            $order = $key->[1] * ($x =~ /^\d+$/ && $y =~ /^\d+$/ ? $x <=> $y || length $x <=> length $y || $x cmp $y : $x cmp $y);
            last if $order;
        }
        $order || ($a->{createtxg} // 0) <=> ($b->{createtxg} // 0);
    } @objects;
}

sub list {
    my ($options, @names) = @_;
    my $default = @names && !grep({ !/@/ } @names) ? 'snapshot' : 'filesystem,volume';
    my @columns = map { split /,/ } @{ $options->{o} // ['name,used,available,referenced,mountpoint'] };
    @columns = map { $_ eq 'space' ? qw(name available used usedbysnapshots usedbydataset usedbyrefreservation usedbychildren) : $_ } @columns;
    my @objects = sorted($options, selected($options, wanted_types($options, $default), @names));
    my @rows = map { my $object = $_; [map { (value($object, $_, $options->{p}))[0] } @columns] } @objects;
    if (!@rows) { print STDERR "no datasets available\n" unless $options->{H} || @names; return 0 }
    table(\@rows, $options->{H} ? undef : [map { heading($_) } @columns], \@columns);
    return 0;
}

sub heading { my ($column) = @_; return { available => 'AVAIL', referenced => 'REFER', avail => 'AVAIL', refer => 'REFER', compressratio => 'RATIO' }->{$column} // uc $column }

sub table {
    my ($rows, $heads, $columns) = @_;
    if (!$heads) { print join("\t", @$_), "\n" for @$rows; return }
    my @width = map { length } @$heads;
    for my $row (@$rows) { for my $at (0 .. $#$row) { $width[$at] = length $row->[$at] if length $row->[$at] > $width[$at] } }
    for my $row ($heads, @$rows) {
        my $line = join '  ', map { number_property($columns->[$_] // '') && ($columns->[$_] // '') ne 'creation' ? sprintf("%$width[$_]s", $row->[$_]) : sprintf("%-$width[$_]s", $row->[$_]) } 0 .. $#$row;
        print $line =~ s/\s+$//r, "\n";
    }
}

sub get {
    my ($options, $properties, @names) = @_;
    usage('missing property argument') unless defined $properties;
    my @fields = map { split /,/ } @{ $options->{o} // ['name,property,value,source'] };
    @fields = qw(name property value received source) if "@fields" eq 'all';
    my %sources = map { $_ => 1 } map { split /,/ } @{ $options->{s} // [] };
    my $wanted = wanted_types($options, 'filesystem,volume,snapshot,bookmark');
    my @objects = $options->{t} || $options->{r} || $options->{d} || !@names ? selected($options, $wanted, @names) : map { selected({}, { %$wanted, snapshot => 1, bookmark => 1 }, $_) } @names;
    # A plain name means the data set itself, not what is in it.
    if (!$options->{r} && !$options->{d} && !$options->{t} && @names) { my %named = map { $_ => 1 } @names; @objects = grep { $named{ (value($_, 'name'))[0] } } @objects }
    my @rows;
    for my $object (@objects) {
        my @all = $properties eq 'all' ? all_properties($object) : split /,/, $properties;
        for my $property (@all) {
            my ($value, $source) = value($object, $property, $options->{p});
            next if $properties eq 'all' && $value eq '-';
            next if %sources && !$sources{ $source =~ s/^inherited.*/inherited/r } && !($source eq '-' && $sources{none});
            my %row = (name => (value($object, 'name'))[0], property => $property, value => $value, source => $source, received => $object->{"r:$property"} // '-');
            push @rows, [map { $row{$_} // usage("invalid column name '$_'") } @fields];
        }
    }
    table(\@rows, $options->{H} ? undef : [map { uc } @fields], []) if @rows;
    return 0;
}

1;
