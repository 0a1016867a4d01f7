package Coldspare::Backup::Points;
# What can be restored, and how the last runs ended: for people, and with --plain for programs.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;
use Coldspare::Backup::Conf;
use Coldspare::Backup::Job qw(record_of records is_locked iso);
use Coldspare::Backup::Marks;
use Coldspare::Backup::Run qw(list_points);

our @EXPORT = qw(points status);

sub options { my ($allowed, @arguments) = @_; my %given; @arguments = grep { !($allowed->{$_} && ($given{$_} = 1)) } @arguments; return (\%given, @arguments) }

sub points {
    my ($given, @names) = options({ '--plain' => 1, '--cached' => 1 }, @_);
    my $conf = conf();
    die { use => 'coldspare-backup points [--plain] [--cached] [POLICY]' } if @names > 1 || grep { /^-/ } @names;
    my @policies = @names ? policy_of($conf, $names[0]) : map { $conf->{policies}{$_} } sort keys %{ $conf->{policies} };
    my (@lines, @failed);
    for my $policy (@policies) {
        my $target = target_of($conf, $policy->{target});
        if (!$given->{'--cached'}) { eval { list_points($conf, $policy, $target, { tries => 1 }); 1 } or push @failed, "$target->{name}: " . ($@ =~ s/\n+\z//r) }
        push @lines, remembered_points($policy->{name});
    }
    if ($given->{'--plain'}) { print map { "$_\n" } @lines }
    else { print_points(@lines) }
    print STDERR "coldspare-backup: $_. What is listed of it is what it last said\n" for @failed;
    # Without an end a program that reads this knows that it has not seen all.
    print "end\n" if $given->{'--plain'} && !@failed;
    return @failed ? 1 : 0;
}

my %VERIFIED = (ok => 'read again on %s', failed => 'DAMAGED or incomplete', none => 'not read again yet');

sub print_points {
    for my $point (map { words($_) } @_) {
        $_ = decode($_) for values %$point;
        my $size = $point->{bytes} ne '' ? sprintf('%8.2f GiB', $point->{bytes} / 2**30) : '            ';
        printf "%s  %s  %s  %s  %s\n", substr($point->{point}, 0, 8), $point->{at}, $size, $point->{subject}, sprintf($VERIFIED{ $point->{verified} }, $point->{verifiedat});
    }
}

sub status {
    my ($given, @rest) = options({ '--plain' => 1 }, @_);
    die { use => 'coldspare-backup status [--plain]' } if @rest;
    my $conf = conf();
    my %jobs = map { $_ => 1 } keys %{ $conf->{policies} }, records();
    for my $name (sort keys %jobs) {
        my $job = now_of($conf, $name, record_of($name));
        if ($given->{'--plain'}) { print job_line($name, $job), "\n" }
        else { print "$name to $job->{target}: $job->{state}" . ($job->{at} ? " at $job->{at}" : '') . ($job->{newest} ? ", newest good point of $job->{newest}" : '') . "\n" . ($job->{error} ? "  $job->{error}\n" : '') }
    }
    print "end\n" if $given->{'--plain'};
    return 0;
}

# A record that says 'running' while nobody holds the lock is of a run that was killed.
sub now_of {
    my ($conf, $name, $record) = @_;
    my $policy = $conf->{policies}{$name};
    my %job = (kind => 'restic', policy => $policy ? $name : '', target => $policy ? $policy->{target} : '', state => 'never', %$record);
    return \%job unless $job{state} eq 'running';
    return \%job if is_locked($job{target}) && ($job{pid} // 0) && kill 0, $job{pid};
    return { %job, state => 'failed', at => $job{began}, error => 'the run was interrupted; the next one goes on' };
}

sub job_line {
    my ($name, $job) = @_;
    return join ' ', 'job=' . encode($name), map { "$_=" . encode($job->{$_} // '') } qw(kind policy target state at began seconds bytes newest error);
}

1;
