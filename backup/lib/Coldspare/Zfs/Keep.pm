package Coldspare::Zfs::Keep;
# Which snapshots stay: each rule for itself keeps the newest of so many hours, days, ISO weeks, months, years that have one.
# In UTC, as the snapshots' names are. The same rules as planning/backup/retention.ts ('zfs').
use strict;
use warnings;
use Exporter 'import';
use POSIX ();

our @EXPORT = qw(read_keep kept_times);

my %PERIOD = (hourly => '%Y-%m-%d %H', daily => '%Y-%m-%d', weekly => '%G-%V', monthly => '%Y-%m', yearly => '%Y');

# 'last:3,daily:14'; empty: everything stays.
sub read_keep {
    my ($text, $what) = @_;
    return $text if ref $text;
    my %keep;
    for my $rule (split /,/, $text) {
        my ($name, $count) = $rule =~ /^(last|hourly|daily|weekly|monthly|yearly):(\d{1,6})$/ or die "$what: '$rule' is no rule such as daily:14\n";
        $keep{$name} = $count;
    }
    die "$what keeps nothing\n" if %keep && !grep { $_ > 0 } values %keep;
    return \%keep;
}

sub kept_times {
    my ($keep, @times) = @_;
    my @newest_first = sort { $b <=> $a } @times;
    return map { $_ => 1 } @newest_first unless %$keep;
    my %kept;
    for my $rule (keys %$keep) {
        my %seen;
        for my $time (@newest_first) {
            last if keys %seen >= $keep->{$rule};
            my $period = $rule eq 'last' ? $time : POSIX::strftime($PERIOD{$rule}, gmtime $time);
            $kept{$time} = 1 unless $seen{$period}++;
        }
    }
    return %kept;
}

1;
