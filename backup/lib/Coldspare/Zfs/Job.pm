package Coldspare::Zfs::Job;
# One run of a job: snapshot, send, hold, prune. Each step can be repeated; a run goes on where the one before broke off.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;
use Coldspare::Zfs::Outcome;
use Coldspare::Zfs::Conf;
use Coldspare::Zfs::Keep;
use Coldspare::Zfs::Side;
use Coldspare::Zfs::Chain;
use Coldspare::Zfs::State;

our @EXPORT = qw(run_job prune_job link_of pairs_of);

# The job's two ends and what a transfer has to know.
sub link_of {
    my ($conf, $job) = @_;
    my ($here, $there) = (side($conf, '-'), side($conf, $job->{peer}));
    my ($from, $to) = $job->{direction} eq 'push' ? ($here, $there) : ($there, $here);
    return { from => $from, to => $to, tag => "coldspare:$job->{name}", prefix => "coldspare-$job->{policy}", raw => $job->{raw}, rate => $job->{rate},
        retries => $job->{retries}, pause => $job->{pause},
        way_out => "To begin a new copy and keep the old one under another name: coldspare-zfs run $job->{name} --full" };
}

# [source, copy] of every data set.
sub pairs_of {
    my ($job, $link) = @_;
    my %pairs;
    for my $top (@{ $job->{datasets} }) {
        my @all = $job->{recursive} ? map({ $_->[1]{name} } ask($link->{from}, 'children', $top)) : $top;
        $pairs{$_} = Coldspare::Zfs::Conf::copy_name($job, $_) for grep { $_ ne $job->{into} && index($_, "$job->{into}/") != 0 } @all;
    }
    return map { [$_, $pairs{$_}] } sort keys %pairs;
}

sub run_job {
    my ($options, $name) = taken({ full => 0 }, @_);
    my $conf = conf();
    my $job = job_of($conf, $name);
    return exclusively($name, sub {
        my $done = eval { recorded($name, sub { run_once($conf, $job, $options) }) };
        return if $done;
        my $error = $@;
        report($conf, $job, message_of($error)) if $job->{onfailure};
        die $error;
    });
}

sub report {
    my ($conf, $job, $why) = @_;
    my $state = state_of($job->{name});
    my $newest = $state->{newest} ? "The newest good point is of $state->{newest}." : 'There is no good point yet.';
    tell_failure($conf, "coldspare: copy $job->{name} to $job->{target} failed on $conf->{self}",
        "Job:      $job->{name} (policy $job->{policy})\nTarget:   $job->{target}, $job->{into} on " . ($job->{peer} eq '-' ? $conf->{self} : $job->{peer})
            . "\nReason:   $why\n\n$newest The next run goes on where this one stopped.\nTo try now: coldspare-zfs run $job->{name}, on $conf->{self}; what there is: coldspare-zfs points $job->{name}\n");
}

sub run_once {
    my ($conf, $job, $options) = @_;
    my $link = link_of($conf, $job);
    my @pairs = pairs_of($job, $link);
    die "$job->{name} has no data sets\n" unless @pairs;
    my $name = new_point($link, map { $_->[0] } @pairs);
    if ($options->{full}) { set_aside($link, @$_) for @pairs }
    my ($bytes, @wrong) = (0);
    for my $pair (@pairs) {
        # One data set that fails costs itself and no other.
        my $sent = eval { my $count = bring_up_to_date($link, @$pair); settle_holds($link, @$pair); $count };
        if (defined $sent) { $bytes += $sent } else { push @wrong, $@ }
    }
    eval { prune_pairs($job, $link, @pairs); 1 } or push @wrong, $@ unless @wrong;
    if (@wrong) { die $wrong[0] if @wrong == 1; die Coldspare::Zfs::Error->new(code_of($wrong[0]), join "\n", map { message_of($_) } @wrong) }
    return { bytes => $bytes, newest => iso(time_of($name)) };
}

# A name that no data set has yet: two runs within one second take two names.
sub new_point {
    my ($link, @datasets) = @_;
    my %taken = map { $_->{name} => 1 } map { @{ look($link->{from}, $_)->{snapshots} } } @datasets;
    my $time = time;
    $time++ while $taken{"$link->{prefix}-" . stamp($time)};
    my $name = "$link->{prefix}-" . stamp($time);
    ask($link->{from}, 'snapshot', $name, @datasets);
    say("snapshot $name of @datasets");
    return $name;
}

sub set_aside {
    my ($link, $dataset, $copy) = @_;
    my ($source, $target) = (look($link->{from}, $dataset), look($link->{to}, $copy));
    return if $target->{missing};
    if ($target->{begun}) { ask($link->{to}, 'abort', $copy); return }
    my ($kept) = ask($link->{to}, 'retire', $copy, stamp());
    say("$copy on $link->{to}{name} is now $kept->[1]{name}; nothing of it was destroyed");
}

sub prune_job {
    my ($name) = @_;
    my $conf = conf();
    my $job = job_of($conf, $name);
    return exclusively($name, sub { my $link = link_of($conf, $job); prune_pairs($job, $link, pairs_of($job, $link)); return });
}

sub prune_pairs {
    my ($job, $link, @pairs) = @_;
    for my $pair (@pairs) {
        my ($source, $target) = (look($link->{from}, $pair->[0]), look($link->{to}, $pair->[1]));
        next if $target->{missing} || $target->{begun};
        my $common = newest_common($source, $target);
        prune_side($link->{from}, $source, $link->{prefix}, $job->{keepsource}, $common);
        prune_side($link->{to}, $target, $link->{prefix}, $job->{keeptarget}, $common);
    }
}

# The newest, the common one, what comes after it (it may not have been sent yet), what somebody holds and what a clone is made of stay,
# whatever the rules say.
sub prune_side {
    my ($side, $view, $prefix, $keep, $common) = @_;
    my ($border) = grep { $common && $_->{guid} eq $common->{guid} } @{ $view->{snapshots} }, @{ $view->{bookmarks} };
    return unless $border;
    my @own = own_snapshots($view, $prefix);
    my %kept = kept_times($keep, map { time_of($_->{name}) } @own);
    my @gone = grep { !$kept{ time_of($_->{name}) } && $_->{txg} < $border->{txg} && is_free($_) } @own;
    return unless @gone;
    ask($side, 'destroy', map { "$view->{name}\@$_->{name}" } @gone);
    say("$view->{name} on $side->{name}: " . scalar(@gone) . ' snapshots removed by retention');
}

1;
