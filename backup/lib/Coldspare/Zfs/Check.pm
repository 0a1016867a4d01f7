package Coldspare::Zfs::Check;
# Whether the copies are what they say they are, and bringing one back.
use strict;
use warnings;
use Coldspare::System;
use Coldspare::Zfs::Outcome;
use Coldspare::Zfs::Conf;
use Coldspare::Zfs::Side;
use Coldspare::Zfs::Chain;
use Coldspare::Zfs::Transfer;
use Coldspare::Zfs::State;
use Coldspare::Zfs::Job;

sub verify {
    my ($options, $name) = taken({ bytes => 0 }, @_);
    my $conf = conf();
    my $job = job_of($conf, $name);
    return exclusively($name, sub {
        my $link = link_of($conf, $job);
        my $verified = verified_of($name);
        my @wrong = grep { $_ ne '' } map { verify_pair($link, $options, $verified, @$_) } pairs_of($job, $link);
        Coldspare::Zfs::State::remember_verified($name, $verified);
        return say("$name: both sides agree") unless @wrong;
        my $why = join "\n", @wrong;
        tell_failure($conf, "coldspare: a copy of $name on $job->{target} is not as it should be",
            "Target:   $job->{target}\n$why\n\nLook at 'zpool status -v' on both sides. A new copy beside the old one: coldspare-zfs run $name --full\n");
        die "$why\n";
    });
}

# '' or what is wrong; the points it looked at are marked.
sub verify_pair {
    my ($link, $options, $verified, $dataset, $copy) = @_;
    my ($source, $target) = (look($link->{from}, $dataset), look($link->{to}, $copy));
    return "$copy on $link->{to}{name} is not there" if $target->{missing} || $target->{begun};
    my $common = newest_common($source, $target) // return "$dataset and $copy have no common snapshot";
    my %here = map { $_->{name} => $_->{guid} } @{ $source->{snapshots} };
    for my $each (own_snapshots($target, $link->{prefix})) {
        next if !defined $here{ $each->{name} } || $here{ $each->{name} } eq $each->{guid};
        $verified->{ $each->{guid} } = ['failed', iso(time)];
        return "$copy\@$each->{name} is another snapshot than that of the same name on $link->{from}{name} (guid $each->{guid}, not $here{$each->{name}})";
    }
    return '' unless $options->{bytes};
    return "$dataset: the newest common snapshot is a bookmark there: its bytes cannot be compared" if $common->{from} =~ /^#/;
    my @sums = map { my ($side, $of) = @$_; (ask($side, 'content', "$of\@$common->{name}"))[0][1] } [$link->{from}, $dataset], [$link->{to}, $copy];
    if (grep { $_->{sum} eq '' } @sums) { say("$copy: content not compared: $sums[1]{reason}$sums[0]{reason}"); return '' }
    my $is_same = $sums[0]{sum} eq $sums[1]{sum};
    $verified->{ $common->{guid} } = [$is_same ? 'ok' : 'failed', iso(time)];
    say("$copy\@$common->{name}: SHA-256 $sums[1]{sum}" . ($is_same ? ' on both sides' : " but $sums[0]{sum} on $link->{from}{name}"));
    return $is_same ? '' : "$copy\@$common->{name} on $link->{to}{name} has other bytes than $dataset on $link->{from}{name}";
}

# 'tank/data@coldspare-…' as `points` names it, or the snapshot's name alone where the job has one data set.
sub point_of {
    my ($job, $text) = @_;
    my ($dataset, $snapshot) = ($text // '') =~ /^(?:([^@]+)@)?([A-Za-z0-9_.:-]+)$/ or wrong_use("'" . ($text // '') . "' is no point; coldspare-zfs points $job->{name} names them");
    my @sets = @{ $job->{datasets} };
    $dataset //= @sets == 1 ? $sets[0] : wrong_use("job $job->{name} has several data sets: say DATASET\@$snapshot");
    my ($top) = grep { $dataset eq $_ || index($dataset, "$_/") == 0 } @sets;
    wrong_use("job $job->{name} has no data set $dataset") unless defined $top;
    return ($dataset, $snapshot);
}

sub restore {
    my ($options, $name, $point) = taken({ to => 1 }, @_);
    my $conf = conf();
    my $job = job_of($conf, $name);
    my ($dataset, $snapshot) = point_of($job, $point);
    my $into = $options->{to} // wrong_use('use: coldspare-zfs restore JOB POINT --to DATASET');
    wrong_use("'$into' is no name of a data set") unless $into =~ /^$DATASET$/ && $into =~ m{/};
    my $link = link_of($conf, $job);
    my $copy = look($link->{to}, Coldspare::Zfs::Conf::copy_name($job, $dataset));
    my ($found) = grep { $_->{name} eq $snapshot } @{ $copy->{snapshots} };
    wrong_use("$copy->{name} on $link->{to}{name} has no snapshot $snapshot; coldspare-zfs points $name names what there is") unless $found;
    my $there = look($link->{from}, $into);
    refuse("$into exists on $link->{from}{name}: a restore never overwrites. Name a data set that is not there") if !$there->{missing} && !$there->{begun};
    ask($link->{from}, 'parent', $into);
    my $bytes = $there->{begun} ? transfer($link->{to}, ['resume', $copy->{name}, $there->{set}{token}], $link->{from}, ['receive', $into, 0], $link->{rate})
        : transfer($link->{to}, ['send', $copy->{name}, $snapshot, '', Coldspare::Zfs::Chain::is_sealed($copy), 0], $link->{from}, ['receive', $into, 0], $link->{rate});
    my ($here) = grep { $_->{guid} eq $found->{guid} } @{ look($link->{from}, $into)->{snapshots} };
    die "$into on $link->{from}{name} is not the snapshot that was asked for\n" unless $here;
    say("$into on $link->{from}{name} is $dataset\@$snapshot ($bytes bytes; guid $found->{guid}). 'zfs mount $into' shows a filesystem");
}

1;
