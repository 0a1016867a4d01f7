package Coldspare::Backup::Restore;
# Brings a point back into a folder. Never over what is there, unless that is asked for; an interrupted restore of the same point goes on.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;
use Coldspare::Backup::Conf;
use Coldspare::Backup::Job qw(locked iso);
use Coldspare::Backup::Process;
use Coldspare::Backup::Restic;
use Coldspare::Backup::Marks;
use Coldspare::Backup::Remedy;

our @EXPORT = qw(restore);

my $USE = 'coldspare-backup restore POLICY POINT|latest --to FOLDER [--path PATH]... [--overwrite]';
my $MARKER = '.coldspare-restore';

sub restore {
    my ($name, $wanted, @rest) = @_;
    my (%given, @paths);
    while (defined(my $option = shift @rest)) {
        if ($option eq '--to') { $given{to} = shift @rest }
        elsif ($option eq '--path') { push @paths, shift @rest // die { use => $USE } }
        elsif ($option eq '--overwrite') { $given{overwrite} = 1 }
        else { die { use => $USE } }
    }
    die { use => $USE } unless defined $wanted && ($given{to} // '') =~ m{^/};
    my $conf = conf();
    my $policy = policy_of($conf, $name);
    my $target = target_of($conf, $policy->{target});
    my @points = snapshots($conf, $target, {}, $name);
    my $point = chosen($target, $wanted, @points);
    my $bad = marks($target)->{bad}{ $point->{id} };
    print STDERR "coldspare-backup: this point is known to be damaged or incomplete: $bad->{error}. Restoring what can be read\n" if $bad;
    begin($given{to}, $point, $given{overwrite});
    my @include = map { ('--include', path($_)) } @paths;
    my $result = restic($conf, $target, {}, 'restore', $point->{id}, '--target', $given{to}, '--verify', @include);
    if ($result->{code}) {
        my @files = grep { /ignoring error|error/i } split /\n/, $result->{err};
        die 'the restore is not whole: ' . join('; ', @files ? @files[0 .. ($#files > 9 ? 9 : $#files)] : last_words($result)) . "\nFix: " . remedy(last_words($result), { policy => $name, target => $target->{name} }) . "\n";
    }
    unlink "$given{to}/$MARKER";
    print "$point->{subject} of " . iso($point->{epoch}) . " is in $given{to}, every file read again and compared\n";
    return 0;
}

# 'latest' is the newest good one.
sub chosen {
    my ($target, $wanted, @points) = @_;
    my @found = $wanted eq 'latest' ? (good_points(marks($target), @points))[-1] // () : $wanted =~ /^[0-9a-f]{4,64}$/ ? grep { index($_->{id}, $wanted) == 0 } @points : ();
    return $found[0] if @found == 1;
    die { use => @found ? "'$wanted' is the beginning of several points; give more of it" : "there is no point '$wanted'; coldspare-backup points lists them" };
}

sub begin {
    my ($to, $point, $overwrite) = @_;
    make_folder($to);
    my $marker = slurp("$to/$MARKER") // '';
    opendir(my $folder, $to) or die "cannot read $to: $!\n";
    my @there = grep { !/^\.\.?$|^\Q$MARKER\E/ } readdir $folder;
    die { refused => "$to is not empty ($there[0]" . (@there > 1 ? ' …' : '') . '): give an empty folder, or --overwrite' } if @there && !$overwrite && $marker ne "$point->{id}\n";
    write_file("$to/$MARKER", "$point->{id}\n", 1);
}

1;
