package Coldspare::Zfs::Report;
# How the last runs ended, and what can be restored: for people, and one line of words each for programs.
use strict;
use warnings;
use Coldspare::System;
use Coldspare::Zfs::Outcome;
use Coldspare::Zfs::Conf;
use Coldspare::Zfs::Side;
use Coldspare::Zfs::Chain;
use Coldspare::Zfs::State;
use Coldspare::Zfs::Job;

sub line { my (@pairs) = @_; my @words; while (my ($key, $value) = splice @pairs, 0, 2) { push @words, "$key=" . encode($value // '') } return "@words" }

sub jobs { my ($conf, $name) = @_; return defined $name ? job_of($conf, $name) : map { $conf->{jobs}{$_} } sort keys %{ $conf->{jobs} } }

sub status {
    my ($options, $name) = taken({ plain => 0 }, @_);
    my $conf = conf();
    for my $job (jobs($conf, $name)) {
        my $state = state_of($job->{name});
        if ($options->{plain}) {
            print line(job => $job->{name}, kind => 'zfs', policy => $job->{policy}, target => $job->{target}, state => $state->{state}, map { $_ => $state->{$_} } qw(at began seconds bytes newest error)), "\n";
            next;
        }
        my $error = $state->{error} ? ": $state->{error}" : '';
        print "$job->{name}  $state->{state}  newest good point ", $state->{newest} || 'none', $state->{at} ? ", last run ended $state->{at}" : '', "$error\n";
    }
    print "end\n" if $options->{plain};
    return;
}

sub cache { my ($job) = @_; return path("/var/lib/coldspare/zfs/$job->{name}.points") }

sub points_of {
    my ($conf, $job) = @_;
    my $link = link_of($conf, $job);
    my $verified = verified_of($job->{name});
    my @lines;
    for my $pair (pairs_of($job, $link)) {
        my $copy = look($link->{to}, $pair->[1]);
        for my $each (reverse own_snapshots($copy, $link->{prefix})) {
            my ($result, $at) = @{ $verified->{ $each->{guid} } // ['none', ''] };
            push @lines, line(point => "$pair->[0]\@$each->{name}", job => $job->{name}, subject => "dataset:$link->{from}{name}:$pair->[0]", target => $job->{target},
                at => iso(time_of($each->{name})), bytes => $each->{bytes}, verified => $result, verifiedat => $at, medium => '');
        }
    }
    return @lines;
}

sub points {
    my ($options, $name) = taken({ plain => 0, cached => 0 }, @_);
    my $conf = conf();
    for my $job (jobs($conf, $name)) {
        my @lines = $options->{cached} ? () : eval { points_of($conf, $job) };
        if ($@ || $options->{cached}) {
            # A receiver that is away now had these points at the last look.
            print STDERR "coldspare-zfs: $job->{name}: " . message_of($@) . "; shown as of the last look\n" if $@;
            @lines = split /\n/, slurp(cache($job)) // '';
        }
        else { write_file(cache($job), join '', map { "$_\n" } @lines) }
        if ($options->{plain}) { print map { "$_\n" } @lines; next }
        for my $words (map { words($_) } @lines) { print decode($words->{point}), '  ', decode($words->{at}), "  $words->{bytes} bytes  verified: $words->{verified}\n" }
    }
    print "end\n" if $options->{plain};
    return;
}

1;
