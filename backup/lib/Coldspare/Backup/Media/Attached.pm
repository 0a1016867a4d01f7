package Coldspare::Backup::Media::Attached;
# What is mounted where a rotation's medium belongs, whose turn it is, and who carried which one.
use strict;
use warnings;
use Exporter 'import';
use Fcntl qw(O_WRONLY O_CREAT O_APPEND);
use IO::Handle ();
use Coldspare::System;
use Coldspare::Backup::Job qw(iso epoch_of);
use Coldspare::Backup::Process;

our @EXPORT = qw(attached is_mounted turn known_id label_medium append_swap last_swap media_file);

my $LABEL = '.coldspare-medium';

sub media_file { my ($target, $what) = @_; return path("/var/lib/coldspare/media/$target.$what") }

# Looking into it mounts it where an automount is set up.
sub is_mounted {
    my ($rotation) = @_;
    my $mount = path($rotation->{mount});
    opendir(my $folder, $mount) or return 0;
    my $there = readdir $folder;
    my $text = slurp(kernel_file('/proc/self/mountinfo')) // '';
    my @types = map { my @words = split ' ', $_; ($words[4] =~ s/\\([0-7]{3})/chr oct $1/ger) eq $mount ? / - (\S+)/ : () } split /\n/, $text;
    return @types && $types[-1] ne 'autofs';
}

# { state => none|unlabelled|foreign|ok, label, id, what, free, size }
sub attached {
    my ($rotation) = @_;
    return { state => 'none' } unless is_mounted($rotation);
    my $mount = path($rotation->{mount});
    my %room = room($mount);
    my $text = slurp("$mount/$LABEL") // return { state => 'unlabelled', %room };
    my %label = map { /^(\w+) (\S+)$/ ? ($1 => $2) : () } split /\n/, $text;
    my $what = "medium " . ($label{medium} // '?') . ' of target ' . ($label{target} // '?') . ' of site ' . ($label{site} // '?');
    my $known = known_id($rotation, $label{medium} // '');
    my $ours = ($label{target} // '') eq $rotation->{name} && ($label{site} // '') eq $rotation->{site} && $rotation->{media}{ $label{medium} // '' };
    return { state => 'foreign', what => $what, %room } unless $ours;
    return { state => 'foreign', what => "a second disk with the label $label{medium}", %room } if defined $known && $known ne ($label{id} // '');
    write_ids($rotation, { ids($rotation), $label{medium} => $label{id} }) unless defined $known;
    return { state => 'ok', label => $label{medium}, id => $label{id}, what => $what, %room };
}

sub room {
    my ($mount) = @_;
    my $result = capture({ seconds => 60, anyway => 1 }, 'df', '--output=avail,size', '-B1', $mount);
    return $result->{out} =~ /^\s*(\d+)\s+(\d+)\s*$/m ? (free => $1, size => $2) : ();
}

# ---- identity -----------------------------------------------------------------------------------------------------------

sub ids { my ($rotation) = @_; return map { /^medium=(\S+) id=(\S+)$/ ? (decode($1) => $2) : () } split /\n/, slurp(media_file($rotation->{name}, 'ids')) // '' }
sub known_id { my ($rotation, $label) = @_; my %ids = ids($rotation); return $ids{$label} }

sub write_ids { my ($rotation, $ids) = @_; write_file(media_file($rotation->{name}, 'ids'), join('', map { 'medium=' . encode($_) . " id=$ids->{$_}\n" } sort keys %$ids), 1) }

sub label_medium {
    my ($conf, $rotation, $label) = @_;
    chomp(my $id = slurp('/proc/sys/kernel/random/uuid') // die "no random number from /proc\n");
    # Known here first: a label that is written and not known would be taken over all the same, but never the other way round.
    write_ids($rotation, { ids($rotation), $label => $id });
    write_file(path($rotation->{mount}) . "/$LABEL", "site $conf->{site}\ntarget $rotation->{name}\nmedium $label\nid $id\n", 1);
    return $id;
}

# ---- whose turn it is -----------------------------------------------------------------------------------------------------

# The list that `pulumi up` rendered: lines 'swap TARGET EPOCH LABEL SET BEFORE|-' in order, and 'until TARGET EPOCH'.
sub swaps {
    my ($target) = @_;
    my (@swaps, $ends);
    for my $line (split /\n/, slurp(path('/etc/coldspare/media.swaps')) // '') {
        my ($word, $name, @rest) = split ' ', $line;
        next unless defined $name && $name eq $target;
        if ($word eq 'swap') { push @swaps, { at => $rest[0], label => $rest[1], set => $rest[2], before => $rest[3] eq '-' ? undef : $rest[3] } }
        elsif ($word eq 'until') { $ends = $rest[0] }
    }
    return ($ends, @swaps);
}

# { expected, set, before, until, next, accepted => [labels], listends, warning }
sub turn {
    my ($rotation, $now) = @_;
    my ($ends, @swaps) = swaps($rotation->{name});
    my ($at) = reverse grep { $swaps[$_]{at} <= $now } 0 .. $#swaps;
    $at //= 0;
    my $swap = $swaps[$at] // die "/etc/coldspare/media.swaps says nothing of $rotation->{name}. Run `pulumi up`, which writes it\n";
    my $next = $swaps[$at + 1];
    my $grace = defined $swap->{before} && $now < $swap->{at} + $rotation->{grace};
    my %turn = (expected => $swap->{label}, set => $swap->{set}, before => $swap->{before}, until => $next && $next->{at}, next => $next && $next->{label}, listends => $ends,
        accepted => [$swap->{label}, $grace ? $swap->{before} : ()]);
    if (defined $ends && $now >= $ends) {
        # Better a copy on a medium out of turn than none.
        @turn{qw(accepted warning)} = ([sort keys %{ $rotation->{media} }], 'the list of swaps ended on ' . iso($ends) . ': run `pulumi up`, which renews it');
    }
    return \%turn;
}

# ---- who carried what -----------------------------------------------------------------------------------------------------

sub append_swap {
    my ($target, $label, $action, $by) = @_;
    my $file = media_file($target, 'swaps');
    make_folder($file =~ s{/[^/]+$}{}r);
    sysopen(my $handle, $file, O_WRONLY | O_CREAT | O_APPEND, 0600) or die "cannot write $file: $!\n";
    my $line = 'at=' . iso(time) . ' medium=' . encode($label) . " action=$action by=" . encode($by) . "\n";
    (syswrite($handle, $line) // -1) == length $line && $handle->sync && close $handle or die "cannot write $file: $!\n";
}

sub last_swap {
    my ($target) = @_;
    my ($line) = reverse grep { /\S/ } split /\n/, slurp(media_file($target, 'swaps')) // '';
    my $words = defined $line ? eval { words($line) } : undef;
    return $words && { map { $_ => decode($words->{$_}) } keys %$words };
}

1;
