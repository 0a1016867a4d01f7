package LabZfs::Apply;
# What a stream may be received into, and how its records become a snapshot there.
use strict;
use warnings;
use Fcntl qw(O_RDWR O_CREAT);
use LabZfs::Store;
use LabZfs::Space;
use LabZfs::Props;
use LabZfs::Seal;
use LabZfs::Mount;
use LabZfs::Change;
use LabZfs::Destroy;

sub check_resumed {
    my ($dataset, $name, $head, $what) = @_;
    fail("$what: destination '$name' does not exist") unless $dataset;
    my $begun = LabZfs::Receive::head_of($dataset);
    fail("$what: kernel modules must be upgraded to receive this stream.") unless $begun && $begun->{resumable} && $begun->{toguid} eq $head->{toguid};
}

sub check_new {
    my ($options, $dataset, $name, $head, $what) = @_;
    if (!$dataset) {
        my $above = parent_name($name) // fail("$what: destination '$name' does not exist");
        my $parent = dataset($above);
        if (!$parent) {
            fail("cannot open '$above': dataset does not exist\n$what: unable to restore to destination") unless $options->{d} || $options->{e};
            LabZfs::Change::create($above, { p => 1 });
            $parent = dataset($above);
        }
        fail("$what: parent '$above' is not a filesystem") if $parent->{type} ne 'filesystem';
        fail("$what: inherited key must be loaded") if !$head->{raw} && is_locked($parent);
        fail("$what: local origin for clone $name\@... does not exist") if $head->{clone} && !by_guid($head->{fromguid});
        fail("$what: out of space") if $head->{kind} eq 'volume' && available(pool_of($name)) < 1;
        return undef;
    }
    fail("$what: destination '$name' exists\nmust specify -F to overwrite it") unless $options->{F};
    my ($first) = snapshots_of($dataset);
    fail("$what: destination has snapshots (eg. " . full_name($first) . ")\nmust destroy them to overwrite it") if $first;
    fail("$what: destination '$name' is a clone\nmust destroy it to overwrite it") if $dataset->{origin};
    fail("$what: zfs receive -F cannot be used to destroy an encrypted filesystem or overwrite an unencrypted one with an encrypted one")
        if root_of($dataset) || $head->{raw};
    return $dataset;
}

# The snapshot here that the stream builds on.
sub base_of { my ($dataset, $head) = @_; my ($found) = grep { $_->{guid} eq $head->{fromguid} } snapshots_of($dataset); return $found }

sub check_incremental {
    my ($options, $dataset, $target, $head, $what) = @_;
    my ($name, $short) = split /@/, $target, 2;
    fail("$what: destination '$name' does not exist") unless $dataset;
    fail("$what: cannot perform raw receive on top of existing unencrypted dataset") if $head->{raw} && !root_of($dataset);
    fail("$what: inherited key must be loaded") if !$head->{raw} && is_locked($dataset);
    fail("cannot restore to $target: destination already exists") if snapshot($target);
    my $base = base_of($dataset, $head);
    my $newest = newest_snapshot($dataset);
    fail("$what: most recent snapshot of $name does not\nmatch incremental source") if !$base || (!$options->{F} && $base->{id} ne $newest->{id});
    fail("$what: encryption key does not match existing key") if $head->{raw} && $head->{salt} ne root_of($dataset)->{salt};
    fail("$what: destination $name has been modified\nsince most recent snapshot") if !$options->{F} && is_modified($dataset);
    for my $newer (grep { $_->{createtxg} > $base->{createtxg} } snapshots_of($dataset)) {
        fail("$what: dataset is busy") if LabZfs::Destroy::is_sent($newer) || LabZfs::Change::is_kept($newer);
    }
}

# A data set of which nothing is there yet.
sub add_partial {
    my ($name, $head) = @_;
    my %more = (inconsistent => 1);
    @more{qw(volsize volblocksize)} = @$head{qw(volsize volblocksize)} if defined $head->{volsize};
    my $dataset = LabZfs::Change::add_dataset($name, $head->{kind}, \%more);
    if ($head->{raw}) {
        @$dataset{qw(encryption salt keycheck keyformat keylocation)} = (@$head{qw(encryption salt keycheck keyformat)}, 'prompt');
        $dataset->{encryptionroot} = $dataset->{id};
    }
    else { make_sealed($dataset, {}) }
    return $dataset;
}

sub finish {
    my ($options, $target, $head, $into, $what) = @_;
    my ($name, $short) = split /@/, $target, 2;
    my $dataset = $STATE->{datasets}{ $into->{id} } // fail("$what: dataset does not exist");
    my $is_new = $dataset->{inconsistent};
    my $begun = LabZfs::Receive::head_of($dataset);
    my $base;
    if ($head->{clone}) { $base = by_guid($head->{fromguid}); $dataset->{origin} = $base->{id} }
    elsif ($head->{fromguid}) {
        # It may have changed while the stream came.
        check_incremental($options, $dataset, $target, $head, $what);
        $base = base_of($dataset, $head);
        LabZfs::Destroy::drop_snapshot($_) for grep { $_->{createtxg} > $base->{createtxg} } snapshots_of($dataset);
    }
    my $live = live_path($dataset);
    my $key = $head->{raw} && !is_locked($dataset) ? key_of_dataset($dataset) : undef;
    build("$live.new", $base, "$ROOT/partial/$dataset->{id}/spool", $head, $key, $dataset->{salt});
    remove_bytes($live);
    rename("$live.new", $live) or fail("$what: $!");
    delete $dataset->{inconsistent};
    if (defined $head->{volsize}) {
        my $reserves = defined $head->{"P:refreservation"} || ($dataset->{refreservation} // 0) > 0;
        $dataset->{volsize} = $head->{volsize};
        $dataset->{refreservation} = $head->{volsize} if $reserves;
    }
    receive_properties($dataset, $begun, $options, $is_new);
    my %received = map { /^S:(.*)$/ ? ("r:$1" => $begun->{$_}) : () } keys %$begun;
    LabZfs::Change::add_snapshot($dataset, $short, { guid => $head->{toguid}, createtxg => next_txg(), creation => $head->{creation}, %received });
    remove_bytes("$ROOT/partial/$dataset->{id}");
    $is_new ? appear($dataset, $options->{u}) : remount_below($dataset);
}

sub receive_properties {
    my ($dataset, $head, $options, $is_new) = @_;
    my %excluded = map { $_ => 1 } @{ $options->{x} // [] };
    for my $key (grep { /^P:/ } keys %$head) {
        my $property = substr $key, 2;
        $dataset->{"r:$property"} = $head->{$key} unless $excluded{$property} || $property eq 'refreservation';
    }
    if ($is_new || @{ $options->{o} // [] }) {
        for my $each (@{ $options->{o} // [] }) { my ($property, $value) = split /=/, $each, 2; set_property($dataset, $property, $value) unless $property eq 'origin' }
    }
}

# The base's bytes with the spool's records applied.
sub build {
    my ($place, $base, $spool, $head, $key, $salt) = @_;
    remove_bytes($place);
    LabZfs::Store::make_folder($place =~ s{/[^/]+$}{}r);
    if ($base) { copy_bytes(snapshot_path($base), $place) }
    elsif ($head->{tree}) { LabZfs::Store::make_folder($place) }
    else { open(my $out, '>', $place) or fail("cannot write $place: $!") }
    open(my $in, '<:raw', $spool) or fail("cannot read $spool: $!");
    my %times;
    while (sysread($in, my $frame, 9) == 9) {
        my ($type, $words, $length) = unpack 'aNN', $frame;
        my $rest = LabZfs::Stream::read_exactly($in, $words + $length);
        my $fields = words_of(substr $rest, 0, $words);
        my $payload = substr $rest, $words;
        if (defined $key) {
            $fields->{path} = cipher_path($key, $salt, $fields->{path}, 0) if $head->{tree};
            $payload = cipher($key, $salt, $fields->{path}, $fields->{offset}, $payload) if $type eq 'W' && $length;
        }
        $type eq 'O' ? apply_entry($place, $fields, \%times) : apply_bytes($place, $fields, $payload);
    }
    truncate $place, $head->{length} unless $head->{tree};
    utime $times{$_}, $times{$_}, "$place$_" for keys %times;
}

sub apply_entry {
    my ($place, $fields, $times) = @_;
    my ($path, $kind) = @$fields{qw(path kind)};
    my $file = "$place$path";
    fail('cannot receive: invalid stream (bad name)') if $path =~ m{/\.\.?(?:/|$)} || $path !~ m{^/};
    if ($kind eq 'remove') { return remove_bytes($file) }
    remove_bytes($file) if (-e $file || -l $file) && !($kind eq 'folder' ? -d $file && !-l $file : $kind eq 'file' && -f $file && !-l $file);
    if ($kind eq 'folder') { mkdir $file unless -d $file; chmod $fields->{mode}, $file }
    elsif ($kind eq 'symlink') { symlink $fields->{more}, $file or fail("cannot make $file: $!") }
    else {
        sysopen(my $out, $file, O_RDWR | O_CREAT, 0600) or fail("cannot write $file: $!");
        truncate $out, $fields->{more};
        chmod $fields->{mode}, $file;
        $times->{$path} = $fields->{mtime};
    }
}

sub apply_bytes {
    my ($place, $fields, $payload) = @_;
    my $file = "$place$fields->{path}";
    my $size = -s $file;
    open(my $out, '+<:raw', $file) or fail("cannot write $file: $!");
    sysseek $out, $fields->{offset}, 0;
    if (defined $fields->{zero}) {
        # A file that became shorter has no bytes there any more.
        my $left = $fields->{path} eq '' ? $fields->{zero} : $size - $fields->{offset};
        return if $left <= 0;
        $payload = "\0" x ($left < $fields->{zero} ? $left : $fields->{zero});
    }
    syswrite($out, $payload) == length $payload or fail("cannot write $file: $!") if length $payload;
}

1;
