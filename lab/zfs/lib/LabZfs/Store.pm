package LabZfs::Store;
# What the stand-in remembers: pools, data sets, snapshots and bookmarks in one text file below the root folder, bytes beside it.
#   state                 one object per line, `kind id key=value...`
#   data/<id>/live        bytes of a data set: a file (volume) or a folder (filesystem)
#   data/<id>/<snapshot>  bytes of one of its snapshots
#   maps/<snapshot>       checksums of a snapshot's blocks (Space.pm)
#   partial/<id>/         what an interrupted receive has got so far (Receive.pm)
use strict;
use warnings;
use Exporter 'import';
use Fcntl qw(:flock O_RDWR O_CREAT);

our @EXPORT = qw($ROOT $STATE fail usage with_state with_loaded new_id next_txg dataset dataset_or_fail snapshot snapshot_or_fail
    by_guid snapshots_of newest_snapshot bookmarks_of children descendants full_name pool_of pool_name parent_name
    live_path snapshot_path is_guest copy_bytes move_bytes remove_bytes encode decode words_text words_of open_name options);

our $ROOT;
our %CONF;
our $STATE;
our $HOOKS = { before => sub { }, after => sub { }, live => sub { return undef }, snapshot => sub { return undef }, guest => sub { return 0 } };

package LabZfs::Failure { sub new { my ($class, $code, $text) = @_; return bless { code => $code, text => $text }, $class } }

sub fail { die LabZfs::Failure->new(1, $_[0]) }
sub usage { die LabZfs::Failure->new(2, $_[0]) }

sub encode { my ($text) = @_; $text =~ s/([^A-Za-z0-9._\/:,\@-])/sprintf('%%%02X', ord $1)/ge; return $text }
sub decode { my ($text) = @_; $text =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge; return $text }
sub words_text { my ($hash) = @_; return join ' ', map { encode($_) . '=' . encode($hash->{$_}) } grep { defined $hash->{$_} } sort keys %$hash }
sub words_of { my ($text) = @_; return { map { my ($key, $value) = split /=/, $_, 2; decode($key) => decode($value // '') } split / /, $text } }

# The root folder: $COLDSPARE_ZFS_ROOT, or the line `root PATH` of /etc/lab-zfs.conf below $COLDSPARE_ROOT.
sub configure {
    my $above = $ENV{COLDSPARE_ROOT} // '';
    my $file = "$above/etc/lab-zfs.conf";
    if (open(my $in, '<', $file)) {
        while (<$in>) { chomp; my ($key, $value) = split ' ', $_, 2; $CONF{$key} = $value if defined $value && !/^#/ }
    }
    $ROOT = $ENV{COLDSPARE_ZFS_ROOT} // $CONF{root};
    fail("the lab's zfs has no root folder: set COLDSPARE_ZFS_ROOT, or 'root FOLDER' in $file") unless defined $ROOT && $ROOT =~ m{^/};
    $CONF{mounts} //= defined $ENV{COLDSPARE_ROOT} ? $above : "$ROOT/mnt";
    make_folder("$ROOT/$_") for qw(data maps partial sending);
}

sub make_folder {
    my ($folder) = @_;
    return if -d $folder;
    my ($above) = $folder =~ m{^(.+)/[^/]+$};
    make_folder($above) if defined $above && $above ne '';
    mkdir($folder, 0755) or -d $folder or fail("cannot make $folder: $!");
}

sub load {
    my %state = (pools => {}, datasets => {}, snapshots => {}, bookmarks => {}, counter => { id => 1, txg => 10 });
    if (open(my $in, '<', "$ROOT/state")) {
        while (<$in>) {
            chomp;
            my ($kind, $id, $words) = split / /, $_, 3;
            $state{$kind}{$id} = $kind eq 'counter' ? $words : words_of($words // '');
            $state{$kind}{$id}{id} = $id if ref $state{$kind}{$id};
        }
    }
    return \%state;
}

sub save {
    my @lines = map { "counter $_ $STATE->{counter}{$_}\n" } sort keys %{ $STATE->{counter} };
    for my $kind (qw(pools datasets snapshots bookmarks)) {
        push @lines, map { "$kind $_ " . words_text($STATE->{$kind}{$_}) . "\n" } sort keys %{ $STATE->{$kind} };
    }
    open(my $out, '>', "$ROOT/state.new") or fail("cannot write $ROOT/state: $!");
    print $out @lines;
    close $out or fail("cannot write $ROOT/state: $!");
    rename("$ROOT/state.new", "$ROOT/state") or fail("cannot write $ROOT/state: $!");
}

# Runs code on the state; what it changed is kept unless it dies. Like a transaction group, it has the pool to itself.
sub with_state {
    my ($changes, $code) = @_;
    sysopen(my $lock, "$ROOT/lock", O_RDWR | O_CREAT, 0600) or fail("cannot open $ROOT/lock: $!");
    flock($lock, LOCK_EX) or fail("cannot lock $ROOT/lock: $!");
    return with_loaded(load(), sub {
        $HOOKS->{before}->();
        my @result = $code->();
        if ($changes) { save(); $HOOKS->{after}->() }
        return wantarray ? @result : $result[0];
    });
}

# `local` would not reach the modules that import $STATE.
sub with_loaded {
    my ($state, $code) = @_;
    my $before = $STATE;
    $STATE = $state;
    my @result = eval { $code->() };
    my $error = $@;
    $STATE = $before;
    die $error if $error;
    return wantarray ? @result : $result[-1];
}

sub new_id { return $STATE->{counter}{id}++ }
sub next_txg { return $STATE->{counter}{txg}++ }

sub dataset { my ($name) = @_; my ($found) = grep { $_->{name} eq $name } values %{ $STATE->{datasets} }; return $found }
sub open_name { my ($name) = @_; return fail("cannot open '$name': dataset does not exist") }
sub dataset_or_fail { my ($name) = @_; return dataset($name) // open_name($name) }

sub snapshot {
    my ($name) = @_;
    my ($of, $short) = $name =~ /^([^@]+)@(.+)$/ or return undef;
    my $dataset = dataset($of) or return undef;
    my ($found) = grep { $_->{dataset} eq $dataset->{id} && $_->{name} eq $short } values %{ $STATE->{snapshots} };
    return $found;
}
sub snapshot_or_fail { my ($name) = @_; return snapshot($name) // open_name($name) }
sub by_guid { my ($guid) = @_; my ($found) = grep { $_->{guid} eq $guid } values %{ $STATE->{snapshots} }; return $found }

sub snapshots_of {
    my ($dataset) = @_;
    return sort { $a->{createtxg} <=> $b->{createtxg} } grep { $_->{dataset} eq $dataset->{id} } values %{ $STATE->{snapshots} };
}
sub newest_snapshot { return (snapshots_of($_[0]))[-1] }
sub bookmarks_of {
    my ($dataset) = @_;
    return sort { $a->{createtxg} <=> $b->{createtxg} } grep { $_->{dataset} eq $dataset->{id} } values %{ $STATE->{bookmarks} };
}

sub children { my ($name) = @_; return grep { $_->{name} =~ m{^\Q$name\E/[^/]+$} } sorted_datasets() }
sub descendants { my ($name) = @_; return grep { $_->{name} =~ m{^\Q$name\E/} } sorted_datasets() }
sub sorted_datasets { return sort { $a->{name} cmp $b->{name} } values %{ $STATE->{datasets} } }
sub full_name { my ($snapshot, $sign) = @_; return $STATE->{datasets}{ $snapshot->{dataset} }{name} . ($sign // '@') . $snapshot->{name} }
sub pool_name { my ($name) = @_; return ($name =~ m{^([^/@#]+)})[0] }
sub pool_of { my ($name) = @_; my $pool = pool_name($name); my ($found) = grep { $_->{name} eq $pool } values %{ $STATE->{pools} }; return $found }
sub parent_name { my ($name) = @_; return $name =~ m{^(.+)/[^/]+$} ? $1 : undef }

# A lab's guest has its bytes elsewhere: the hooks say where.
sub live_path { my ($dataset) = @_; return $HOOKS->{live}->($dataset) // "$ROOT/data/$dataset->{id}/live" }
sub snapshot_path {
    my ($snapshot) = @_;
    return $HOOKS->{snapshot}->($snapshot) // "$ROOT/data/$snapshot->{store}/$snapshot->{id}";
}

sub is_guest { return $HOOKS->{guest}->($_[0]) }

sub move_bytes { my ($from, $to) = @_; make_folder($to =~ s{/[^/]+$}{}r); system('mv', '-T', '--', $from, $to) == 0 or fail("cannot move $from to $to") }
sub copy_bytes {
    my ($from, $to) = @_;
    remove_bytes($to);
    make_folder($to =~ s{/[^/]+$}{}r);
    system('cp', '-a', '--reflink=auto', '--sparse=always', '--', $from, $to) == 0 or fail("cannot copy $from to $to");
}
sub remove_bytes { my ($path) = @_; return if !-e $path && !-l $path; system('rm', '-rf', '--', $path) == 0 or fail("cannot remove $path") }

# Options as getopt(3) reads them: 'o:' has a value, and may come more than once.
sub options {
    my ($letters, $long, @words) = @_;
    my (%found, @rest);
    while (@words) {
        my $word = shift @words;
        if ($word eq '--') { push @rest, @words; last }
        if ($word =~ /^--([a-z-]+)(?:=(.*))?$/) {
            my $letter = $long->{$1} // usage("unrecognized option '$word'");
            push @{ $found{$letter} }, $letters =~ /\Q$letter\E:/ ? $2 // shift @words : 1;
        }
        elsif ($word =~ /^-(.+)$/) {
            my @left = split //, $1;
            while (defined(my $letter = shift @left)) {
                usage("invalid option '$letter'") unless $letter ne ':' && index($letters, $letter) >= 0;
                if ($letters !~ /\Q$letter\E:/) { push @{ $found{$letter} }, 1; next }
                my $value = @left ? join('', splice @left) : shift @words;
                push @{ $found{$letter} }, $value // usage("missing argument for '$letter' option");
            }
        }
        else { push @rest, $word }
    }
    return (\%found, @rest);
}

1;
