package Coldspare::Backup::Verify;
# Reads a repository again, part by part, and says which points a damaged pack hurts. Ended at any moment, it goes on where it was.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;
use Coldspare::Backup::Conf;
use Coldspare::Backup::Job qw(job iso);
use Coldspare::Backup::Process;
use Coldspare::Backup::Restic;
use Coldspare::Backup::Marks;
use Coldspare::Backup::Run qw(list_points);

our @EXPORT = qw(verify_policy);

sub verify_policy {
    my ($name, $option, $count) = @_;
    die { use => 'coldspare-backup verify POLICY [--parts NUMBER]' } if defined $option && ($option ne '--parts' || ($count // '') !~ /^[1-9]\d*$/);
    my $conf = conf();
    my $policy = policy_of($conf, $name);
    my $target = target_of($conf, $policy->{target});
    my %job = (name => "$name.verify", Coldspare::Backup::Run::describe($conf, $policy, $target, 'Verification'));
    return job($conf, \%job, sub {
        my ($lock, $job) = @_;
        my @damage = verify_parts($conf, $target, $lock, $count);
        my @points = list_points($conf, $policy, $target, { lock => $lock });
        $job->{newest} = Coldspare::Backup::Run::newest(@points);
        die join("\n", @damage) . "\n" if @damage;
        return { newest => $job->{newest} };
    });
}

sub verify_parts {
    my ($conf, $target, $lock, $count) = @_;
    my $marks = marks($target);
    $marks->{cycle} //= time;
    my @left = grep { ($marks->{read}{$_} // 0) < $marks->{cycle} } 1 .. $marks->{parts};
    @left = @left[0 .. $count - 1] if defined $count && $count < @left;
    put_marks($target, $marks);
    my @damage;
    for my $part (@left) {
        # A second of this run's may also be that of a backup: what is read now was written before.
        my $began = time;
        my $result = restic($conf, $target, { lock => $lock }, 'check', '--read-data-subset', "$part/$marks->{parts}");
        my @found = $result->{code} ? damage_of($conf, $target, $lock, $result, $part) : ();
        $marks = marks($target);
        note_part($marks, $part, $began, @found);
        put_marks($target, $marks);
        push @damage, map { $_->{text} } @found;
    }
    unless (grep { ($marks->{read}{$_} // 0) < $marks->{cycle} } 1 .. $marks->{parts}) { $marks->{cycle} = undef; put_marks($target, $marks) }
    my %seen;
    return grep { !$seen{$_}++ } @damage;
}

# A part that was read without a word clears what was said of it; what the structure says concerns every part.
sub note_part {
    my ($marks, $part, $began, @found) = @_;
    for my $id (keys %{ $marks->{bad} }) {
        my $bad = $marks->{bad}{$id};
        next if $bad->{part} eq 'incomplete';
        delete $marks->{bad}{$id} if $bad->{part} eq $part || $bad->{part} eq 'structure';
    }
    for my $found (@found) {
        $marks->{bad}{$_} //= { part => $found->{part} // $part, pack => $found->{pack}, at => iso(time), error => $found->{text} } for @{ $found->{points} };
    }
    $marks->{read}{$part} = $began;
}

# What check found, as { text, pack, part, points }. Dies when it could not do its work, which says nothing of the points.
sub damage_of {
    my ($conf, $target, $lock, $result, $part) = @_;
    my $said = "$result->{err}\n$result->{out}";
    die last_words($result) . "\n" if stopping() || $said !~ /contains errors|does not match|not (?:found|exist)|error for tree|corrupt/i || $said =~ /Is there a repository|already locked/i;
    my %packs;
    for my $line (grep { !/returned error, retrying/ } split /\n/, $said) {
        $packs{$1} = 1 if $line =~ /\bpack (?:ID does not match, want )?([0-9a-f]{64})/i;
        $packs{$1} = 1 if $line =~ /\bpack (?:file )?(?:\S+ )?.*?\b([0-9a-f]{64})\b/i && $line !~ /not referenced/;
    }
    my @found = map { damaged_pack($conf, $target, $lock, $_, of_part($_, marks($target)->{parts})) } sort keys %packs;
    my @uncertain = grep { !$_->{points} } @found;
    if (@uncertain || !@found) {
        my @points = unreadable($conf, $target, $lock);
        my $text = last_words($result);
        for my $found (@uncertain) {
            $found->{points} = \@points;
            $found->{text} .= @points ? '. It hurts the points ' . some(map { substr $_, 0, 8 } @points) : '. Every point can be read through without it';
        }
        push @found, { text => "the structure of the repository is damaged: $text", part => 'structure', pack => 'unknown', points => \@points } unless @found;
    }
    return @found;
}

# restic divides by the first byte of a pack's id.
sub of_part { my ($pack, $parts) = @_; return hex(substr $pack, 0, 2) % $parts + 1 }

sub damaged_pack {
    my ($conf, $target, $lock, $pack, $part) = @_;
    my $result = restic($conf, $target, { lock => $lock, tries => 1 }, 'find', '--json', '--no-lock', '--pack', $pack);
    my $objects = eval { json($result->{out}) };
    return { pack => $pack, part => $part, text => "pack $pack is damaged, and what it held cannot be said" } if $result->{code} || ref $objects ne 'ARRAY';
    # restic finds files by a pack, but no folders: one of folders is found by reading through the points.
    return { pack => $pack, part => $part, text => "pack $pack is damaged. It holds no file's content" } unless @$objects;
    my (%points, %files);
    for my $object (@$objects) { $points{ $object->{snapshot} } = $object->{time}; $files{ $object->{path} } = 1 if defined $object->{path} }
    my @files = sort keys %files;
    my @points = map { substr($_, 0, 8) . " of $points{$_}" } sort { $points{$a} cmp $points{$b} } keys %points;
    my $text = "pack $pack is damaged. " . (@points ? 'It hurts the points ' . some(@points) . ', files ' . some(@files) : 'No point uses it');
    return { pack => $pack, part => $part, text => $text, points => [keys %points] };
}

sub some { my (@all) = @_; return @all <= 10 ? join(', ', @all) : join(', ', @all[0 .. 9]) . ' and ' . (@all - 10) . ' more' }

# Points whose folders cannot be read through. The cache holds what the repository may have lost, so it does not count.
sub unreadable {
    my ($conf, $target, $lock) = @_;
    return map { $_->{id} } grep {
        restic($conf, $target, { lock => $lock, tries => 1 }, 'ls', '--no-cache', '--no-lock', '--json', $_->{id})->{code} != 0
    } snapshots($conf, $target, { lock => $lock });
}

1;
