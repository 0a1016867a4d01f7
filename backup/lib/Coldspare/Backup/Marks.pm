package Coldspare::Backup::Marks;
# What is known of a repository's points beyond what restic says: when which part was last read, which points are damaged, how big they were.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;
use Coldspare::Backup::Job qw(state_folder iso epoch_of);

our @EXPORT = qw(marks put_marks state_of verified_at good_points point_line remember_points remembered_points damaged_packs);

my $PARTS = 8;

sub marks_file { return state_folder() . "/marks/$_[0]" }

# { parts, cycle (epoch or undef), read => { part => epoch }, bad => { id => { part, pack, at, error } }, sizes => { id => bytes } }
sub marks {
    my ($target) = @_;
    my %marks = (parts => $target->{parts} // $PARTS, read => {}, bad => {}, sizes => {});
    my $parts;
    for my $line (split /\n/, slurp(marks_file($target->{name})) // '') {
        my $words = eval { words($line) } or next;
        $_ = decode($_) for values %$words;
        if (defined $words->{parts}) { $parts = $words->{parts} }
        elsif (defined $words->{cycle}) { $marks{cycle} = epoch_of($words->{cycle}) }
        elsif (defined $words->{bad}) { $marks{bad}{ $words->{bad} } = $words }
        elsif (defined $words->{size}) { $marks{sizes}{ $words->{size} } = $words->{bytes} }
        elsif (defined $words->{part}) { $marks{read}{ $words->{part} } = epoch_of($words->{at}) }
    }
    # Parts of another division say nothing.
    @marks{qw(read cycle)} = ({}, undef) if defined $parts && $parts != $marks{parts};
    return \%marks;
}

sub put_marks {
    my ($target, $marks) = @_;
    my @lines = ("parts=$marks->{parts}");
    push @lines, 'cycle=' . iso($marks->{cycle}) if defined $marks->{cycle};
    push @lines, map { "part=$_ at=" . iso($marks->{read}{$_}) } sort { $a <=> $b } keys %{ $marks->{read} };
    for my $id (sort keys %{ $marks->{bad} }) {
        my $bad = $marks->{bad}{$id};
        push @lines, join ' ', "bad=$id", map { "$_=" . encode($bad->{$_}) } grep { defined $bad->{$_} } qw(part pack at error);
    }
    push @lines, map { "size=$_ bytes=$marks->{sizes}{$_}" } sort keys %{ $marks->{sizes} };
    write_file(marks_file($target->{name}), join('', map { "$_\n" } @lines), 1);
}

# When everything that the point can consist of was read again last; undefined: not since it was made.
sub verified_at {
    my ($marks, $point) = @_;
    my @read = map { $marks->{read}{$_} // 0 } 1 .. $marks->{parts};
    my ($oldest) = sort { $a <=> $b } @read;
    return $oldest > $point->{epoch} ? $oldest : undef;
}

sub state_of {
    my ($marks, $point) = @_;
    return 'failed' if $marks->{bad}{ $point->{id} };
    return defined verified_at($marks, $point) ? 'ok' : 'none';
}

sub good_points { my ($marks, @points) = @_; return grep { !$marks->{bad}{ $_->{id} } } @points }

# Packs that are known to be damaged; nothing is pruned while there are any.
sub damaged_packs {
    my ($marks) = @_;
    my %packs = map { $_ => 1 } grep { defined } map { $_->{pack} } values %{ $marks->{bad} };
    my @packs = sort keys %packs;
    return @packs;
}

sub point_line {
    my ($marks, $point) = @_;
    my $state = state_of($marks, $point);
    my $at = $state eq 'failed' ? $marks->{bad}{ $point->{id} }{at} : $state eq 'ok' ? iso(verified_at($marks, $point)) : '';
    my %words = (job => $point->{policy} // '', subject => $point->{subject}, target => $point->{target}, at => iso($point->{epoch}),
        bytes => $marks->{sizes}{ $point->{id} } // '', verified => $state, verifiedat => $at // '', medium => '');
    return join ' ', "point=$point->{id}", map { "$_=" . encode($words{$_}) } qw(job subject target at bytes verified verifiedat medium);
}

sub points_file { return state_folder() . "/points/$_[0]" }

# The last list that the repository gave, for when it cannot be reached.
sub remember_points { my ($policy, @lines) = @_; write_file(points_file($policy), join('', map { "$_\n" } @lines), 1) }
sub remembered_points { my ($policy) = @_; return split /\n/, slurp(points_file($policy)) // '' }

1;
