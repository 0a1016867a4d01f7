package Coldspare::Backup::Media::Catalogue;
# Which copy lies on which medium, also on those that are on the shelf.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;
use Coldspare::Backup::Job qw(epoch_of);
use Coldspare::Backup::Keep;
use Coldspare::Backup::Media::Attached;

our @EXPORT = qw(catalogue put_catalogue forget_medium newest_good distinct_good superfluous_on);

# By "medium point": { point, job, subject, target, at, bytes, sha256, copied, verified, verifiedat, medium }
sub catalogue {
    my ($target) = @_;
    my %copies;
    for my $line (split /\n/, slurp(media_file($target, 'catalogue')) // '') {
        my $words = eval { words($line) } or next;
        my %copy = map { $_ => decode($words->{$_}) } keys %$words;
        $copies{"$copy{medium} $copy{point}"} = \%copy;
    }
    return \%copies;
}

sub put_catalogue {
    my ($target, $copies) = @_;
    my $line = sub { my ($copy) = @_; return join(' ', map { "$_=" . encode($copy->{$_} // '') } qw(point medium job subject target at bytes sha copied verified verifiedat)) . "\n" };
    write_file(media_file($target, 'catalogue'), join('', map { $line->($copies->{$_}) } sort keys %$copies), 1);
}

sub forget_medium {
    my ($target, $label) = @_;
    my $copies = catalogue($target);
    put_catalogue($target, { map { $_ => $copies->{$_} } grep { $copies->{$_}{medium} ne $label } keys %$copies });
}

sub newest_good { my ($copies) = @_; my ($newest) = sort { $b cmp $a } map { $_->{at} } grep { $_->{verified} eq 'ok' } values %$copies; return $newest }

# The points that some medium has whole, each once.
sub distinct_good { my ($copies) = @_; my %points = map { $_->{point} => $_ } grep { $_->{verified} eq 'ok' } values %$copies; return \%points }

# Copies on one medium that the rules keep nowhere. Never the newest good copy of a subject, and a damaged copy never counts as one.
sub superfluous_on {
    my ($rotation, $label, $copies) = @_;
    return () unless %{ $rotation->{keep} };
    my (%subjects, @gone);
    push @{ $subjects{ $_->{subject} } }, $_ for values %{ distinct_good($copies) };
    for my $subject (sort keys %subjects) {
        my @points = map { { id => $_->{point}, epoch => epoch_of($_->{at}), periods => local_periods(epoch_of($_->{at})) } } @{ $subjects{$subject} };
        my $kept = kept_of($rotation->{keep}, @points);
        my ($newest) = sort { $b->{epoch} <=> $a->{epoch} } @points;
        push @gone, grep { $_->{subject} eq $subject && $_->{medium} eq $label && !$kept->{ $_->{point} } && $_->{point} ne $newest->{id} } values %$copies;
    }
    return sort { $a->{at} cmp $b->{at} } @gone;
}

1;
