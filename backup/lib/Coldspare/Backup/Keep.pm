package Coldspare::Backup::Keep;
# Retention as restic counts it: each rule for itself, newest first, one point a period. Only good points are given to it, so that a
# point that cannot be restored never takes the place of one that can.
use strict;
use warnings;
use Exporter 'import';
use POSIX ();

our @EXPORT = qw(kept_of periods local_periods);

my @RULES = qw(last hourly daily weekly monthly yearly);

# The periods of a moment in the zone in which it was written down.
sub periods {
    my ($year, $month, $day, $hour) = @_;
    my $week = POSIX::strftime('%G-%V', 0, 0, 12, $day, $month - 1, $year - 1900);
    return { hourly => "$year-$month-$day $hour", daily => "$year-$month-$day", weekly => $week, monthly => "$year-$month", yearly => $year };
}

sub local_periods {
    my ($epoch) = @_;
    my @at = localtime $epoch;
    return periods($at[5] + 1900, $at[4] + 1, $at[3], $at[2]);
}

# Points as { id, epoch, periods }; returns the ids that stay. Without any rule all stay.
sub kept_of {
    my ($keep, @points) = @_;
    my @newest = sort { $b->{epoch} <=> $a->{epoch} } @points;
    return { map { $_->{id} => 'all' } @newest } unless grep { $_ } values %$keep;
    my %kept;
    for my $rule (@RULES) {
        my ($left, $previous) = ($keep->{$rule} // 0, '');
        for my $at (0 .. $#newest) {
            last if $left <= 0;
            my $period = $rule eq 'last' ? $at : $newest[$at]{periods}{$rule};
            next if $period eq $previous;
            $kept{ $newest[$at]{id} } //= $rule;
            ($previous, $left) = ($period, $left - 1);
        }
    }
    return \%kept;
}

1;
