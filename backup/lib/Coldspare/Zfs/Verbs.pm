package Coldspare::Zfs::Verbs;
# What is done on one server with its own zfs: the same for this server and, through `serve`, for its peers. A verb takes words and
# returns lines of words.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;
use Coldspare::Zfs::Outcome;

our @EXPORT = qw(zfs streaming verb %VERBS);

my $PATIENCE = 6 * 3600;
our $OURS = qr/^coldspare-[a-z0-9-]+-\d{8}T\d{6}Z$/;
# Under this name a diverged copy is set aside; no disk's name to Proxmox VE.
our $ASIDE = 'coldspare-kept';

# verb => [what must be allowed, which words are data sets or snapshots, code]
our %VERBS = (
    list => ['list', 'first', \&list],
    children => ['list', 'first', \&children],
    snapshot => ['snapshot', 'rest', \&snapshot],
    hold => ['hold', 'rest', \&hold],
    release => ['hold', 'rest', \&release],
    destroy => ['destroy', 'all', \&destroy],
    abort => ['receive', 'first', \&abort],
    aside => ['rename', 'first', \&aside],
    retire => ['rename', 'first', \&retire],
    rollback => ['rollback', 'first', \&rollback],
    readonly => ['receive', 'first', \&readonly],
    content => ['read', 'first', \&content],
    parent => ['receive', 'first', \&parent],
);

sub verb {
    my ($name, @words) = @_;
    my $entry = $VERBS{$name} // die "there is no verb '$name'\n";
    return $entry->[2]->(@words);
}

# What `zfs` prints; dies with what it says when it fails.
sub zfs {
    my (@words) = @_;
    my ($code, $text) = run($PATIENCE, 'zfs', @words);
    return $text if $code == 0;
    $text =~ s/\s+$//;
    die "$text\n" if $text ne '';
    die "zfs $words[0] ended with $code\n";
}

sub rows { return map { [split /\t/, $_, -1] } grep { /\S/ } split /\n/, $_[0] }
sub exists_here { my ($name) = @_; my ($code, $text) = run($PATIENCE, 'zfs', 'list', '-H', '-o', 'name', $name); die "$text\n" if $code && $text !~ /does not exist/; return $code == 0 }
sub dash { my ($text) = @_; return $text eq '-' ? '' : $text }

# A data set with its snapshots and bookmarks, oldest first: [kind, {…}]...
sub list {
    my ($dataset) = @_;
    my ($code, $text) = run($PATIENCE, 'zfs', 'get', '-Hp', '-o', 'value', 'type,encryption,keystatus,receive_resume_token,readonly,written', $dataset);
    return ['missing', { name => $dataset }] if $code && $text =~ /does not exist/;
    die "$text\n" if $code;
    my ($own) = rows($text =~ s/\n(?=.)/\t/gr);
    my %set = (name => $dataset);
    @set{qw(type encryption keystatus token readonly written)} = map { dash($_) } @$own;
    my @found = (['dataset', \%set]);
    for my $row (rows(zfs('list', '-Hp', '-d', '1', '-t', 'snapshot,bookmark', '-o', 'name,type,guid,createtxg,creation,referenced,userrefs,clones', '-s', 'createtxg', $dataset))) {
        my ($name, $type, $guid, $txg, $at, $bytes, $refs, $clones) = @$row;
        my ($short) = $name =~ /[\@#](.+)$/;
        my %item = (name => $short, guid => $guid, txg => $txg, at => $at, bytes => dash($bytes), holds => '', clones => dash($clones // '-'));
        $item{holds} = join ',', map { $_->[1] } rows(zfs('holds', '-H', $name)) if $type eq 'snapshot' && dash($refs) ne '' && $refs > 0;
        push @found, [$type, \%item];
    }
    return @found;
}

sub children {
    my ($dataset) = @_;
    return map { ['child', { name => $_->[0], type => $_->[1] }] } rows(zfs('list', '-H', '-r', '-t', 'filesystem,volume', '-o', 'name,type', $dataset));
}

sub snapshot { my ($name, @datasets) = @_; die "'$name' is no name of ours\n" unless $name =~ $OURS; zfs('snapshot', map { "$_\@$name" } @datasets); return }

sub held { my ($tag, $snapshot) = @_; die "'$tag' is no hold of this program's\n" unless $tag =~ /^coldspare:[A-Za-z0-9-]+$/; return grep { $_->[1] eq $tag } rows(zfs('holds', '-H', $snapshot)) }
sub hold { my ($tag, @snapshots) = @_; for my $each (@snapshots) { zfs('hold', $tag, $each) unless held($tag, $each) } return }
sub release { my ($tag, @snapshots) = @_; for my $each (@snapshots) { zfs('release', $tag, $each) if held($tag, $each) } return }

# Only what this program made: a person's snapshots are not its business.
sub destroy {
    my (@snapshots) = @_;
    for my $each (@snapshots) { die "$each is none of this program's snapshots: it is not destroyed\n" unless $each =~ /@(.+)$/ && $1 =~ $OURS }
    zfs('destroy', $_) for @snapshots;
    return;
}

sub abort { my ($dataset) = @_; zfs('receive', '-A', $dataset); return }

sub parent {
    my ($dataset) = @_;
    my ($above) = $dataset =~ m{^(.+)/[^/]+$} or die "'$dataset' is a pool\n";
    zfs('create', '-p', $above) unless exists_here($above);
    return;
}

sub readonly { my ($dataset, $value) = @_; zfs('set', 'readonly=' . ($value ? 'on' : 'off'), $dataset); return }

# A guest's volumes must not change below it.
sub require_stopped {
    my ($dataset) = @_;
    my ($vmid) = $dataset =~ m{/(?:vm|base|subvol)-(\d+)-[^/]+$} or return;
    my $pid = slurp(path("/run/qemu-server/$vmid.pid")) // '';
    refuse("$dataset: dataset is busy: guest $vmid runs here. Stop it first") if $pid =~ /^(\d+)/ && kill 0, $1;
    if (-e path("/etc/pve/lxc/$vmid.conf")) {
        my ($code, $text) = run(30, 'pct', 'status', $vmid);
        refuse("$dataset: dataset is busy: container $vmid runs here. Stop it first") if $code == 0 && $text =~ /running/;
    }
}

sub kept_name { my ($dataset, $stamp) = @_; my ($above, $last) = $dataset =~ m{^(.+)/([^/]+)$} or die "'$dataset' is a pool\n"; return "$above/$ASIDE-$stamp-$last" }

# The data set as it was at a snapshot, under its own name; as it is now, it stays under another one.
sub aside {
    my ($dataset, $snapshot, $stamp) = @_;
    require_stopped($dataset);
    my $kept = kept_name($dataset, $stamp);
    if (exists_here($dataset)) { zfs('rename', $dataset, $kept) }
    else { $kept = interrupted($dataset, $snapshot) }
    my @after = grep { $_->[0] eq 'snapshot' } list($kept);
    my ($at) = grep { $after[$_][1]{name} eq $snapshot } 0 .. $#after;
    die "$kept has no snapshot $snapshot\n" unless defined $at;
    for my $newer (@after[$at + 1 .. $#after]) { zfs('release', $_, "$kept\@$newer->[1]{name}") for grep { /^coldspare:/ } split /,/, $newer->[1]{holds} }
    zfs('clone', "$kept\@$snapshot", $dataset);
    zfs('promote', $dataset);
    return ['kept', { name => $kept }];
}

# Renamed, but not cloned yet: the power went in between.
sub interrupted {
    my ($dataset, $snapshot) = @_;
    my ($above, $last) = $dataset =~ m{^(.+)/([^/]+)$};
    my @kept = grep { m{^\Q$above\E/$ASIDE-\d{8}T\d{6}Z-\Q$last\E$} } map { $_->[0] } rows(zfs('list', '-H', '-d', '1', '-t', 'filesystem,volume', '-o', 'name', $above));
    my ($found) = grep { exists_here("$_\@$snapshot") } reverse sort @kept;
    return $found // die "$dataset is not there, and no copy of it that was set aside has $snapshot\n";
}

# A copy that cannot be continued makes room for a new one.
sub retire {
    my ($dataset, $stamp) = @_;
    require_stopped($dataset);
    my $kept = kept_name($dataset, $stamp);
    zfs('rename', $dataset, $kept);
    for my $each (grep { $_->[0] eq 'snapshot' } list($kept)) { zfs('release', $_, "$kept\@$each->[1]{name}") for grep { /^coldspare:/ } split /,/, $each->[1]{holds} }
    return ['kept', { name => $kept }];
}

sub rollback {
    my ($dataset, $snapshot) = @_;
    require_stopped($dataset);
    my @all = grep { $_->[0] eq 'snapshot' } list($dataset);
    my ($at) = grep { $all[$_][1]{name} eq $snapshot } 0 .. $#all;
    die "$dataset has no snapshot $snapshot\n" unless defined $at;
    for my $newer (@all[$at + 1 .. $#all]) { zfs('release', $_, "$dataset\@$newer->[1]{name}") for grep { /^coldspare:/ } split /,/, $newer->[1]{holds} }
    zfs('rollback', '-r', "$dataset\@$snapshot");
    return;
}

# SHA-256 of what is in a snapshot: a volume's bytes, or a filesystem's names, kinds, modes, times and contents. It is read through a
# clone that is gone afterwards, as a receiver's snapshots are mounted nowhere.
sub content {
    my ($snapshot) = @_;
    my ($dataset, $pool) = $snapshot =~ m{^(([^/@]+)[^@]*)@} or die "'$snapshot' is no snapshot\n";
    my ($set) = map { $_->[1] } list($dataset);
    return ['content', { sum => '', reason => 'its key is not loaded here' }] if ($set->{keystatus} // '') eq 'unavailable';
    my $clone = "$pool/coldspare-read-$$";
    my $place = "/run/coldspare/zfs-read-$$";
    my $is_volume = $set->{type} eq 'volume';
    zfs('clone', '-o', 'readonly=on', $is_volume ? () : ('-o', "mountpoint=$place"), $snapshot, $clone);
    my $sum = eval { $is_volume ? volume_sum(path("/dev/zvol/$clone")) : folder_sum(path($place)) };
    my $error = $@;
    zfs('destroy', $clone);
    rmdir path($place);
    die $error unless defined $sum;
    return ['content', { sum => $sum, reason => '' }];
}

sub sum_of {
    my ($script, $place) = @_;
    my ($code, $text) = run($PATIENCE, 'sh', '-c', $script, 'sh', $place);
    die "cannot read $place: $text\n" unless $code == 0 && $text =~ /^([0-9a-f]{64})\b/m;
    return $1;
}
sub volume_sum { my ($device) = @_; for (1 .. 100) { last if -e $device; select undef, undef, undef, 0.1 } return sum_of('sha256sum < "$1"', $device) }
sub folder_sum {
    return sum_of('cd "$1" && { find . -type f -printf "%m %Ts %P\0" | sort -z; find . ! -type f ! -type d -printf "%y %P -> %l\0" | sort -z; '
        . 'find . -mindepth 1 -type d -printf "%m %P\0" | sort -z; find . -type f -print0 | sort -z | xargs -0r sha256sum -z --; } | sha256sum', $_[0]);
}

# argv of the verbs that carry a stream: `send DATASET TO FROM RAW PROPERTIES`, `resume DATASET TOKEN`, `receive DATASET READONLY`.
sub streaming {
    my ($name, @words) = @_;
    if ($name eq 'receive') { my ($dataset, $readonly) = @words; return ('zfs', 'receive', '-s', '-u', $readonly ? ('-o', 'readonly=on') : (), $dataset) }
    if ($name eq 'resume') { return ('zfs', 'send', '-t', $words[1]) }
    if ($name eq 'send') {
        my ($dataset, $to, $from, $raw, $properties) = @words;
        return ('zfs', 'send', '-Lec', $raw ? '-w' : (), $properties ? '-p' : (), $from ne '' ? ('-i', $from) : (), "$dataset\@$to");
    }
    return;
}

1;
