package LabZfs::Send;
# zfs send. What is sent is planned while the state is locked; the bytes follow afterwards, from snapshots that no one can destroy
# meanwhile, so that a receive on the same root can run beside it.
use strict;
use warnings;
use Fcntl qw(:flock);
use LabZfs::Store;
use LabZfs::Space;
use LabZfs::Props;
use LabZfs::Seal;
use LabZfs::Stream;

my $PIECE = 131_072;

sub send_stream {
    my ($options, $name) = @_;
    my %plan = with_state(0, sub {
        my %made = defined $options->{t} ? plan_resumed($options) : plan_stream($options, $name);
        $made{sending} = announce(@{ $made{steps} }) unless $options->{n};
        return %made;
    });
    with_loaded($plan{state}, sub { print_sizes($options, \%plan) }) if $options->{n} || $options->{v} || $options->{P};
    return 0 if $options->{n};
    usage("Error: Stream can not be written to a terminal.\nYou must redirect standard output.") if -t STDOUT;
    $SIG{PIPE} = 'IGNORE';
    binmode STDOUT;
    my $sum = new_sum();
    eval { with_loaded($plan{state}, sub {
        syswrite STDOUT, $MAGIC;
        write_record(\*STDOUT, $sum, 'P', $plan{package}) if $plan{package};
        for my $step (@{ $plan{steps} }) { emit_step($step, sub { write_record(\*STDOUT, $sum, @_) }) }
        write_record(\*STDOUT, $sum, 'Z', {}) if $plan{package};
    }) };
    my $error = $@;
    unlink $plan{sending}{file};
    return 0 unless $error;
    die $error unless ref $error && $error->{text} =~ /^warning/;
    fail($error->{text} =~ s/cannot send:/cannot send '$plan{last}':/r);
}

# A locked file with the ids of what is sent: who destroys a snapshot looks for it.
sub announce {
    my (@steps) = @_;
    my $file = "$ROOT/sending/$$";
    open(my $handle, '+>', $file) or fail("cannot write $file: $!");
    flock($handle, LOCK_EX);
    syswrite $handle, join(' ', map { ($_->{to}{id}, $_->{from} && !$_->{from}{bookmark} ? $_->{from}{id} : ()) } @steps) . "\n";
    return { file => $file, handle => $handle };
}

sub source_of {
    my ($dataset, $text) = @_;
    my ($sign, $short) = $text =~ /^(?:\Q$dataset->{name}\E)?([\@#])(.+)$/ ? ($1, $2) : $text !~ /[\@#\/]/ ? ('@', $text) : ();
    if (!defined $sign) {
        my $other = snapshot($text);
        return $other if $other && ($dataset->{origin} // '') eq $other->{id};
        fail("incremental source ($text) is not in the same filesystem") if $other;
        fail("incremental source ($text) does not exist");
    }
    my ($found) = grep { $_->{name} eq $short } $sign eq '#' ? bookmarks_of($dataset) : snapshots_of($dataset);
    return $found // fail("incremental source ($dataset->{name}$sign$short) does not exist");
}

sub plan_stream {
    my ($options, $name) = @_;
    usage("invalid snapshot name '$name'") unless $name =~ /@/;
    my $to = snapshot_or_fail($name);
    my $top = $STATE->{datasets}{ $to->{dataset} };
    my $since = $options->{i} // $options->{I};
    my @sets = $options->{R} ? ($top, descendants($top->{name})) : $top;
    my @steps;
    for my $dataset (@sets) {
        my ($end) = grep { $_->{name} eq $to->{name} } snapshots_of($dataset);
        if (!$end) { print STDERR "WARNING: could not send $dataset->{name}\@$to->{name}: does not exist\n"; next }
        push @steps, steps_of($dataset, $end, $since, $options, $dataset->{id} ne $top->{id});
    }
    my %package;
    if ($options->{R} || defined $options->{I}) {
        my @names = map { my $each = $_; "$each->{name}=" . join ' ', map { "$_->{name}:$_->{guid}" } snapshots_of($each) } @sets;
        %package = (package => { top => $top->{name}, recursive => $options->{R} ? 1 : 0, incremental => defined $since ? 1 : 0, sets => join "\n", @names });
    }
    return (steps => \@steps, state => $STATE, last => $name, %package);
}

sub steps_of {
    my ($dataset, $end, $since, $options, $is_below) = @_;
    my $with = { raw => $options->{w} && root_of($dataset) ? 1 : 0, properties => $options->{p} || $options->{R} ? 1 : 0 };
    my $full = full_name($end);
    fail("warning: cannot send '$full': dataset key must be loaded") if is_locked($dataset) && !$options->{w};
    fail("cannot send $full: encrypted dataset $dataset->{name} may not be sent with properties without the raw flag")
        if $with->{properties} && root_of($dataset) && !$options->{w};
    my $from;
    if (defined $since) {
        $from = $is_below ? (grep { $_->{name} eq ($since =~ s/^.*@//r) } snapshots_of($dataset))[0] : source_of($dataset, $since);
        fail('incremental source (' . full_name($from, $from->{bookmark} ? '#' : '@') . ') is not earlier than it') if $from && $from->{createtxg} >= $end->{createtxg};
    }
    my $is_chain = $options->{R} || defined $options->{I};
    my $single = $options->{R} && defined $options->{i} && $from;
    my $origin = $options->{R} && !$from ? $STATE->{snapshots}{ $dataset->{origin} // '' } : undef;
    my @chain = !$is_chain || $single ? $end
        : grep { $_->{createtxg} <= $end->{createtxg} && (!$from || $_->{createtxg} > $from->{createtxg}) } snapshots_of($dataset);
    my @steps;
    $from //= $origin;
    for my $to (@chain) {
        push @steps, { to => $to, from => $from, dataset => $dataset, clone => $origin && $from && $origin->{id} eq $from->{id} ? 1 : 0, %$with };
        $from = $to;
    }
    return @steps;
}

sub plan_resumed {
    my ($options) = @_;
    my $token = read_token($options->{t}[0]);
    my $no = 'cannot resume send';
    my $to = by_guid($token->{toguid});
    fail(snapshot($token->{toname}) ? "$no: '$token->{toname}' is no longer the same snapshot used in the initial send"
        : "$no: '$token->{toname}' used in the initial send no longer exists") unless $to;
    my $dataset = $STATE->{datasets}{ $to->{dataset} };
    my ($from) = grep { $_->{guid} eq $token->{fromguid} } values %{ $STATE->{snapshots} }, bookmarks_of($dataset);
    fail("$no: incremental source 0x$token->{fromguid} no longer exists") if $token->{fromguid} && !$from;
    fail("warning: cannot send '" . full_name($to) . "': dataset key must be loaded") if is_locked($dataset) && !$token->{raw};
    my $step = { to => $to, from => $from, dataset => $dataset, raw => $token->{raw}, clone => $token->{clone}, skip => $token->{records}, done => $token->{bytes} };
    return (steps => [$step], state => $STATE, last => full_name($to), token => $token);
}

sub estimate {
    my ($step) = @_;
    my $before = $step->{from} ? map_of_snapshot($step->{from}) : {};
    my $bytes = 1024 + born(map_of_snapshot($step->{to}), $before) - ($step->{done} // 0);
    return $bytes > 624 ? $bytes : 624;
}

sub print_sizes {
    my ($options, $plan) = @_;
    my $out = $options->{n} ? \*STDOUT : \*STDERR;
    my $total = 0;
    if ($plan->{token}) {
        my %shown = %{ $plan->{token} };
        print $out "resume token contents:\nnvlist version: 0\n", map { "\t$_ = $shown{$_}\n" } sort keys %shown;
    }
    for my $step (@{ $plan->{steps} }) {
        my $bytes = estimate($step);
        $total += $bytes;
        my ($to, $from) = (full_name($step->{to}), $step->{from} ? full_name($step->{from}, $step->{from}{bookmark} ? '#' : '@') : undef);
        if ($options->{P}) { print $out defined $from ? "incremental\t$from\t$to\t$bytes\n" : "full\t$to\t$bytes\n" }
        else { print $out defined $from ? "send from $from to $to" : "full send of $to", ' estimated size is ', nice($bytes), "\n" }
    }
    print $out $options->{P} ? "size\t$total\n" : 'total estimated size is ' . nice($total) . "\n";
}

# One stream: the same records in the same order each time, so that a resumed one can leave out what is there.
sub emit_step {
    my ($step, $emit) = @_;
    my ($dataset, $to, $from) = @$step{qw(dataset to from)};
    my $path = snapshot_path($to);
    my $is_tree = -d $path ? 1 : 0;
    my %head = (toname => full_name($to), toguid => $to->{guid}, fromguid => $from ? $from->{guid} : 0, kind => $dataset->{type}, creation => $to->{creation},
        tree => $is_tree, raw => $step->{raw} // 0, skipped => $step->{skip} // 0, clone => $step->{clone} // 0,
        defined $to->{volsize} ? (volsize => $to->{volsize}, volblocksize => $dataset->{volblocksize}) : (), $is_tree ? () : (length => -s $path));
    if ($head{raw}) { my $root = root_of($dataset); @head{qw(encryption salt keycheck keyformat)} = ($dataset->{encryption}, $root->{salt}, $root->{keycheck}, $root->{keyformat}) }
    if ($step->{properties}) { my $all = local_properties($dataset); $head{'P:refreservation'} = $dataset->{refreservation} if $dataset->{refreservation}; $head{"P:$_"} = $all->{$_} for keys %$all; $all = local_properties($to); $head{"S:$_"} = $all->{$_} for keys %$all }
    $emit->('B', \%head);
    my $left = $step->{skip} // 0;
    my $key = $head{raw} && !is_locked($dataset) ? key_of_dataset($dataset) : undef;
    my $put = sub {
        my ($type, $fields, $payload) = @_;
        if ($left > 0) { $left--; return }
        if (defined $key) {
            $payload = cipher($key, $dataset->{salt}, $fields->{path}, $fields->{offset}, $payload) if $type eq 'W' && defined $payload;
            $fields->{path} = cipher_path($key, $dataset->{salt}, $fields->{path}, 1) if $is_tree;
        }
        $emit->($type, $fields, $payload);
    };
    my ($before, $after) = ($from ? map_of_snapshot($from) : {}, map_of_snapshot($to));
    $is_tree ? emit_tree($path, $before, $after, $put) : emit_file($path, '', '', block_size($dataset), $before, $after, $put);
    $emit->('E', { toguid => $to->{guid} });
}

sub emit_file {
    my ($file, $path, $prefix, $size, $before, $after, $put) = @_;
    my %numbers = map { /^\Q$prefix\E(\d+)$/ ? ($1 => 1) : () } keys %$before, keys %$after;
    open(my $in, '<:raw', $file) or fail("warning: cannot send: $!");
    for my $number (sort { $a <=> $b } keys %numbers) {
        my ($old, $new) = ($before->{"$prefix$number"}, $after->{"$prefix$number"});
        next if $old && $new && $old->[0] eq $new->[0];
        if (!$new) { $put->('W', { path => $path, offset => $number * $size, zero => $old->[1] }); next }
        sysseek $in, $number * $size, 0;
        my $got = sysread $in, my $bytes, $new->[1];
        fail('warning: cannot send: Input/output error') if ($got // 0) != $new->[1] || Digest::SHA::sha1_hex($bytes) ne $new->[0];
        $put->('W', { path => $path, offset => $number * $size }, $bytes);
    }
}

sub emit_tree {
    my ($folder, $before, $after, $put) = @_;
    my $entries = entries($folder);
    for my $gone (sort { $b cmp $a } map { /^m(.*)$/s && !$after->{$_} ? $1 : () } keys %$before) { $put->('O', { path => $gone, kind => 'remove' }) }
    my %blocks;
    for my $key (keys %$after, keys %$before) { $blocks{$1}{$key} = 1 if $key =~ /^b(.*)\0\d+$/s }
    for my $path (sort keys %$entries) {
        my ($kind, $mode, $mtime, $more) = @{ $entries->{$path} };
        my ($old, $new) = ($before->{"m$path"}, $after->{"m$path"});
        my $is_same = $old && $new && $old->[0] eq $new->[0];
        $put->('O', { path => $path, kind => $kind, mode => $mode, mtime => $mtime, more => $more }) unless $is_same;
        next unless $kind eq 'file' && $blocks{$path};
        my @keys = keys %{ $blocks{$path} };
        my %old = map { $before->{$_} ? ($_ => $before->{$_}) : () } @keys;
        my %new = map { $after->{$_} ? ($_ => $after->{$_}) : () } @keys;
        emit_file("$folder$path", $path, "b$path\0", $PIECE, \%old, \%new, $put);
    }
}

1;
