package LabZfs::Guests;
# On a hypervisor of the lab: the volumes of its zfspool storages are data sets, with the very bytes that guests and API use. Before
# each command the lab is asked what there is; afterwards it is told what became of it.
use strict;
use warnings;
use Digest::SHA qw(sha1);
use IO::Socket::UNIX;
use LabZfs::Store;
use LabZfs::Destroy;

my %pools; # name => { folder, size, ... }
my %told; # what the lab knows: 'name' => { size, snapshots }

sub ask_lab {
    my (@words) = @_;
    my $socket = IO::Socket::UNIX->new(Peer => $LabZfs::Store::CONF{lab}) or fail("the lab does not answer on $LabZfs::Store::CONF{lab}: $!");
    print $socket scalar(@words) . "\n" . join '', map { length($_) . "\n$_" } @words;
    $socket->flush;
    my $text = '';
    while (defined(my $line = <$socket>)) {
        my ($kind, $value) = $line =~ /^([oex]) (\d+)$/ or last;
        if ($kind eq 'x') { return $text if $value == 0; fail("the lab refused: $text") }
        my $bytes = '';
        while (length $bytes < $value) { read($socket, $bytes, $value - length $bytes, length $bytes) or last }
        $text .= $bytes;
    }
    return fail('the connection to the lab broke off');
}

sub volume_name { my ($name) = @_; my ($pool, $last) = $name =~ m{^([^/]+)/((?:vm|base|subvol)-\d+-[^/]+)$} or return; return $pools{$pool} ? ($pool, $last) : () }
sub safe { return $_[0] =~ s/[^A-Za-z0-9._-]+/_/gr }
sub folder { return "$LabZfs::Store::CONF{volumes}/$_[0]{folder}" }
sub file_of { my ($dataset) = @_; my ($pool, $last) = volume_name($dataset->{name}) or return undef; return folder($pools{$pool}) . '/' . safe($last) }

# The same snapshot on both servers of a replication of Proxmox VE's has one guid, as the stream would carry it.
sub guid_of { my ($text) = @_; my ($one, $other) = unpack 'NN', sha1($text); return sprintf '%d%09d', $one, $other % 1_000_000_000 }

sub take_over {
    my (%seen);
    %pools = %told = ();
    for my $line (split /\n/, ask_lab('lab-zfs', 'list')) {
        my ($kind, $text) = split / /, $line, 2;
        my $words = words_of($text);
        if ($kind eq 'pool') { $pools{ $words->{name} } = $words; take_pool($words); next }
        my $dataset = take_volume($words);
        $seen{ $dataset->{id} } = 1;
        $told{ $dataset->{name} } = { size => $words->{size}, snapshots => { map { $_ => 1 } split /,/, $words->{snapshots} } };
    }
    for my $dataset (values %{ $STATE->{datasets} }) {
        next if $seen{ $dataset->{id} } || $dataset->{inconsistent} || !volume_name($dataset->{name});
        LabZfs::Destroy::drop_dataset($dataset);
    }
}

sub take_pool {
    my ($words) = @_;
    my $pool = pool_of($words->{name});
    if ($pool) { $pool->{size} = $words->{size}; return }
    my $id = new_id();
    $STATE->{pools}{$id} = { id => $id, name => $words->{name}, guid => guid_of("pool $words->{folder}"), size => $words->{size}, vdevs => 'lab' };
    LabZfs::Change::make_bytes(LabZfs::Change::add_dataset($words->{name}, 'filesystem'));
}

sub take_volume {
    my ($words) = @_;
    my $name = "$words->{pool}/$words->{name}";
    my $dataset = dataset($name);
    if ($dataset && $dataset->{'made'} ne $words->{made}) { forget($dataset); $dataset = undef }
    my $type = $words->{format} eq 'subvol' ? 'filesystem' : 'volume';
    $dataset //= LabZfs::Change::add_dataset($name, $type, { made => $words->{made}, $type eq 'volume' ? (volblocksize => 16_384, refreservation => $words->{sparse} ? 0 : $words->{size}) : () });
    $dataset->{volsize} = $words->{size} if $type eq 'volume';
    my %there = map { $_ => 1 } split /,/, $words->{snapshots};
    my %here = map { $_->{name} => $_ } snapshots_of($dataset);
    for my $gone (grep { !$there{$_} } keys %here) { LabZfs::Space::forget_map($here{$gone}); delete $STATE->{snapshots}{ $here{$gone}{id} } }
    for my $new (grep { !$here{$_} } split /,/, $words->{snapshots}) {
        my $id = new_id();
        $STATE->{snapshots}{$id} = { id => $id, dataset => $dataset->{id}, store => $dataset->{id}, name => $new, guid => guid_of("$name\@$new"), creation => time, createtxg => next_txg(),
            $type eq 'volume' ? (volsize => $words->{size}) : () };
    }
    LabZfs::Mount::appear($dataset) if $type eq 'volume';
    return $dataset;
}

# Of a volume that the lab made anew under the name, nothing of the old one's bytes is there.
sub forget {
    my ($dataset) = @_;
    for my $snapshot (snapshots_of($dataset)) { LabZfs::Space::forget_map($snapshot); delete $STATE->{snapshots}{ $snapshot->{id} } }
    delete $STATE->{datasets}{ $dataset->{id} };
}

sub tell {
    my (@changes, %here);
    for my $dataset (grep { volume_name($_->{name}) && !$_->{inconsistent} } values %{ $STATE->{datasets} }) {
        my $name = $dataset->{name};
        my $size = $dataset->{volsize} // -s live_path($dataset);
        my $known = $told{$name};
        $here{$name} = 1;
        if (!$known) {
            $dataset->{made} = $dataset->{creation};
            push @changes, ['add', $name, $size, $dataset->{type}, $dataset->{made}];
        }
        elsif ($dataset->{type} eq 'volume' && $known->{size} != $size) { push @changes, ['size', $name, $size] }
        my %snapshots = map { $_->{name} => 1 } snapshots_of($dataset);
        push @changes, map { ['snapshot', $name, $_->{name}] } grep { !$known->{snapshots}{ $_->{name} } } snapshots_of($dataset);
        push @changes, map { ['unsnapshot', $name, $_] } grep { !$snapshots{$_} } keys %{ $known->{snapshots} // {} };
    }
    unshift @changes, map { ['remove', $_] } grep { !$here{$_} } keys %told;
    return unless @changes;
    ask_lab('lab-zfs', 'change', map { join "\t", @$_ } @changes);
    LabZfs::Store::save();
}

$LabZfs::Store::HOOKS = {
    before => \&take_over,
    after => \&tell,
    live => \&file_of,
    snapshot => sub { my ($snapshot) = @_; my $file = file_of($STATE->{datasets}{ $snapshot->{dataset} }) // return undef; return "$file\@" . safe($snapshot->{name}) },
    guest => sub { return volume_name($_[0]{name}) ? 1 : 0 },
};

1;
