package LabZfs::Receive;
# zfs receive. Records are kept as they come in partial/<id>/spool, behind the stream's own head; at its end they are applied to the
# newest common snapshot, all at once. What a broken connection or a power cut left there is what a token tells the sender to go on from.
use strict;
use warnings;
use Fcntl qw(:flock O_RDWR O_CREAT O_APPEND);
use LabZfs::Store;
use LabZfs::Space;
use LabZfs::Props;
use LabZfs::Seal;
use LabZfs::Mount;
use LabZfs::Change;
use LabZfs::Destroy;
use LabZfs::Stream;
use LabZfs::Apply;

sub partial { my ($dataset) = @_; return "$ROOT/partial/$dataset->{id}" }

# Whole records of a spool: how many, their bytes, and where the last one ends.
sub spool_state {
    my ($file) = @_;
    open(my $in, '<:raw', $file) or return (0, 0, 0);
    my ($records, $bytes, $end, $size) = (0, 0, 0, -s $in);
    while (sysread($in, my $frame, 9) == 9) {
        my (undef, $words, $length) = unpack 'aNN', $frame;
        last if $end + 9 + $words + $length > $size;
        $end += 9 + $words + $length;
        ($records, $bytes) = ($records + 1, $bytes + $length);
        sysseek $in, $end, 0;
    }
    return ($records, $bytes, $end);
}

sub head_of { my ($dataset) = @_; open(my $in, '<', partial($dataset) . '/head') or return undef; my $line = <$in> // ''; chomp $line; return words_of($line) }

sub token_of {
    my ($dataset) = @_;
    my $head = head_of($dataset) or return undef;
    return undef unless $head->{resumable};
    my ($records, $bytes) = spool_state(partial($dataset) . '/spool');
    return token_text({ map({ $_ => $head->{$_} } qw(toguid fromguid toname raw clone)), records => $records, bytes => $bytes });
}

# What a receive without -s left when its server died is removed by the next command that looks.
sub tidy {
    for my $dataset (values %{ $STATE->{datasets} }) {
        my $head = head_of($dataset) or next;
        next if $head->{resumable} || LabZfs::Destroy::is_received($dataset);
        forget($dataset);
    }
}

sub forget {
    my ($dataset) = @_;
    remove_bytes(partial($dataset));
    LabZfs::Destroy::drop_dataset($dataset) if $dataset->{inconsistent};
}

sub abort {
    my ($name) = @_;
    my $dataset = dataset_or_fail($name);
    fail("'$name' does not have any resumable receive state to abort") unless defined token_of($dataset);
    fail("cannot abort '$name': dataset is busy") if LabZfs::Destroy::is_received($dataset);
    forget($dataset);
}

sub receive {
    my ($options, $name) = @_;
    binmode STDIN;
    my $magic = LabZfs::Stream::read_exactly(\*STDIN, length $MAGIC);
    fail('cannot receive: failed to read from stream') if length $magic < length $MAGIC;
    fail('cannot receive: invalid stream (bad magic number)') if $magic ne $MAGIC;
    my ($sum, $why) = (new_sum(), '');
    my ($type, $head) = read_record(\*STDIN, $sum, \$why) or fail('cannot receive: failed to read from stream');
    return receive_one($options, target_of($options, $name, $head->{toname}), $head, $sum) if $type eq 'B';
    my $package = $head;
    my $done = 0;
    while (1) {
        ($type, $head) = read_record(\*STDIN, $sum, \$why) or fail('cannot receive: failed to read from stream');
        last if $type eq 'Z';
        receive_one($options, target_below($options, $name, $package->{top}, $head->{toname}), $head, $sum);
        $done++;
    }
    with_state(1, sub { remove_what_the_sender_has_not($package, $options, $name) }) if $options->{F} && $package->{recursive} && $package->{incremental};
    return 0;
}

sub target_of {
    my ($options, $name, $toname) = @_;
    my ($of, $short) = split /@/, $toname, 2;
    return "$name/" . ($of =~ s{^[^/]+/?}{}r) . "\@$short" if $options->{d};
    return "$name/" . ($of =~ s{^.*/}{}r) . "\@$short" if $options->{e};
    return $name =~ /@/ ? $name : "$name\@$short";
}

sub target_below {
    my ($options, $name, $top, $toname) = @_;
    my ($of, $short) = split /@/, $toname, 2;
    my $base = target_of($options, $name =~ s/@.*//r, "$top\@x") =~ s/@.*//r;
    return $base . substr($of, length $top) . "\@$short";
}

sub receive_one {
    my ($options, $target, $head, $sum) = @_;
    my $began = time;
    my $what = $head->{skipped} ? 'cannot receive resume stream' : $head->{fromguid} && !$head->{clone} ? 'cannot receive incremental stream' : 'cannot receive new filesystem stream';
    my $known = with_state(0, sub { my $here = snapshot($target); $here && $here->{guid} eq $head->{toguid} });
    if ($known && $head->{fromguid}) {
        print "snap $target already exists; ignoring\n" if $options->{v};
        return skip($sum, $what);
    }
    print(($options->{n} ? 'would receive ' : 'receiving '), $head->{fromguid} ? 'incremental' : 'full', " stream of $head->{toname} into $target\n") if $options->{v} || $options->{n};
    my $into = with_state(!$options->{n}, sub { tidy(); begin($options, $target, $head, $what) });
    return skip($sum, $what) if $options->{n};
    my ($error, $bytes) = keep_records($into, $sum);
    if (defined $error) { with_state(1, sub { broken_off($options, $target, $what, $into, $error) }) }
    with_state(1, sub { LabZfs::Apply::finish($options, $target, $head, $into, $what) });
    my $seconds = time - $began || 1;
    print 'received ', nice($bytes), " stream in $seconds seconds (", nice(int $bytes / $seconds), "/sec)\n" if $options->{v};
    return 0;
}

sub skip {
    my ($sum, $what) = @_;
    while (my ($type) = read_record(\*STDIN, $sum, \my $why)) { return 0 if $type eq 'E' }
    fail("$what: checksum mismatch or incomplete stream");
}

# All that can be said against a stream before its bytes come. Returns where they go.
sub begin {
    my ($options, $target, $head, $what) = @_;
    my ($name, $short) = split /@/, $target, 2;
    my $dataset = dataset($name);
    my $is_new = !$head->{fromguid} || $head->{clone};
    my $token = $dataset ? token_of($dataset) : undef;
    fail("$what: dataset is busy") if $dataset && LabZfs::Destroy::is_received($dataset);
    if ($head->{skipped}) { LabZfs::Apply::check_resumed($dataset, $name, $head, $what) }
    elsif (defined $token && !($is_new && !$options->{F})) { fail(qq{$what: destination $name contains partially-complete state from "zfs receive -s".}) }
    elsif ($is_new) { $dataset = LabZfs::Apply::check_new($options, $dataset, $name, $head, $what) }
    else { LabZfs::Apply::check_incremental($options, $dataset, $target, $head, $what) }
    return {} if $options->{n};
    $dataset //= LabZfs::Apply::add_partial($name, $head);
    my $folder = partial($dataset);
    LabZfs::Store::make_folder($folder);
    sysopen(my $spool, "$folder/spool", O_RDWR | O_CREAT, 0600) or fail("$what: $!");
    flock($spool, LOCK_EX | LOCK_NB) or fail("$what: dataset is busy");
    my ($records, $bytes, $end) = spool_state("$folder/spool");
    truncate $spool, $head->{skipped} ? $end : 0;
    fail("$what: the stream does not go on where the receive ended") if $head->{skipped} && $records != $head->{skipped};
    sysseek $spool, 0, 2;
    if (!$head->{skipped}) {
        open(my $out, '>', "$folder/head") or fail("$what: $!");
        print $out words_text({ %$head, resumable => $options->{s} ? 1 : 0 }), "\n";
        close $out;
    }
    return { id => $dataset->{id}, spool => $spool, room => available(pool_of($name)) };
}

# Records to the spool until the stream's end; the reason when it does not come to that.
sub keep_records {
    my ($into, $sum) = @_;
    my ($bytes, $why) = (0, '');
    while (1) {
        my ($type, $head, $payload, $raw) = read_record(\*STDIN, $sum, \$why);
        return ($why eq 'damaged' ? 'checksum' : 'incomplete', $bytes) unless defined $type;
        return (undef, $bytes) if $type eq 'E';
        return ('checksum', $bytes) if $type !~ /^[OW]$/;
        return ('space', $bytes) if $bytes + length $raw > $into->{room};
        syswrite($into->{spool}, $raw) == length $raw or return ('space', $bytes);
        $bytes += length $raw;
    }
}

sub broken_off {
    my ($options, $target, $what, $into, $error) = @_;
    my $dataset = $STATE->{datasets}{ $into->{id} } // fail("$what: dataset does not exist");
    close $into->{spool};
    my $token = token_of($dataset);
    forget($dataset) unless defined $token;
    LabZfs::Store::save();
    $LabZfs::Store::HOOKS->{after}->();
    fail("$what: out of space") if $error eq 'space';
    fail("$what: " . ($error eq 'checksum' ? 'checksum mismatch' : 'incomplete stream')) unless defined $token;
    fail("$what: checksum mismatch or incomplete stream.\nPartially received snapshot is saved.\n"
        . "A resuming stream can be generated on the sending system by running:\n    zfs send -t $token");
}

# -R -i with -F: what is gone on the sender goes here too.
sub remove_what_the_sender_has_not {
    my ($package, $options, $name) = @_;
    my $base = target_below($options, $name, $package->{top}, "$package->{top}\@x") =~ s/@.*//r;
    my %sent;
    for my $line (split /\n/, $package->{sets}) {
        my ($of, $snapshots) = split /=/, $line, 2;
        $sent{ $base . substr $of, length $package->{top} } = { map { (split /:/)[-1] => 1 } split / /, $snapshots };
    }
    for my $dataset (dataset($base) // (), reverse descendants($base)) {
        if (!$sent{ $dataset->{name} }) { LabZfs::Destroy::destroy($dataset->{name}, { r => 1 }); next }
        for my $snapshot (snapshots_of($dataset)) {
            LabZfs::Destroy::destroy_snapshots(full_name($snapshot), {}) unless $sent{ $dataset->{name} }{ $snapshot->{guid} };
        }
    }
}

1;
