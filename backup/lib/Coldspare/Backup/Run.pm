package Coldspare::Backup::Run;
# One run of a policy: hooks, a backup of each subject, retention.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;
use Coldspare::Backup::Conf;
use Coldspare::Backup::Job qw(job state_folder iso);
use Coldspare::Backup::Process;
use Coldspare::Backup::Restic;
use Coldspare::Backup::Marks;
use Coldspare::Backup::Keep;

our @EXPORT = qw(run_policy prune_policy list_points);

sub describe {
    my ($conf, $policy, $target, $what) = @_;
    return (kind => 'restic', policy => $policy->{name}, target => $target->{name}, notify => $policy->{notify}, server => $conf->{self},
        where => $target->{repository}, what => "$what of $policy->{name}");
}

sub run_policy {
    my ($name) = @_;
    my $conf = conf();
    my $policy = policy_of($conf, $name);
    my $target = target_of($conf, $policy->{target});
    my %job = (name => $name, describe($conf, $policy, $target, 'Backup'));
    return job($conf, \%job, sub {
        my ($lock, $job) = @_;
        my $made = around($policy, sub { backup_all($conf, $policy, $target, $lock) });
        my @points = eval { list_points($conf, $policy, $target, { lock => $lock }, $made->{sizes}, $made->{incomplete}) };
        my $unlisted = $@;
        $job->{newest} = newest(@points) if @points;
        die join("\n", @{ $made->{failed} }) . "\n" if @{ $made->{failed} };
        die "the backup is made, but cannot be listed: $unlisted" unless @points;
        my $note = eval { retention($conf, $policy, $target, { lock => $lock }, @points) } // die "the backup is made, but old ones could not be removed: $@";
        return { bytes => $made->{bytes}, newest => $job->{newest}, note => $note };
    });
}

# ---- hooks ------------------------------------------------------------------------------------------------------------

# The hooks after a run are run whatever happens; where a run was killed between, the next one begins with them.
sub around {
    my ($policy, $work) = @_;
    my $marker = state_folder() . "/hooks/$policy->{name}";
    hooks($policy, 'after') if -e $marker;
    write_file($marker, iso(time) . "\n", 1) if @{ $policy->{after} };
    my $result = eval { hooks($policy, 'before'); $work->() };
    my $error = $@;
    my $after = eval { hooks($policy, 'after'); 1 } ? '' : $@;
    unlink $marker if $after eq '';
    die $error if !defined $result && ref $error;
    die join '; ', map { s/\n+\z//r } grep { $_ ne '' } defined $result ? () : $error, $after if !defined $result || $after ne '';
    return $result;
}

sub hooks {
    my ($policy, $when) = @_;
    for my $argv (@{ $policy->{$when} }) {
        my $env = { COLDSPARE_POLICY => $policy->{name}, COLDSPARE_TARGET => $policy->{target} };
        my $result = capture({ env => $env, seconds => $policy->{timeout} // 600, anyway => $when eq 'after' }, @$argv);
        next if $result->{code} == 0;
        my ($last) = reverse grep { /\S/ } split /\n/, "$result->{out}\n$result->{err}";
        die "the hook '@$argv' ($when) ended with $result->{code}" . (defined $last ? ": $last" : '') . "\n";
    }
}

# ---- backup -----------------------------------------------------------------------------------------------------------

# One subject that fails keeps no other one back. Sizes and what is missing are by the short ids that restic gives.
sub backup_all {
    my ($conf, $policy, $target, $lock) = @_;
    my %made = (bytes => 0, sizes => {}, incomplete => {}, failed => []);
    for my $subject (@{ $policy->{subjects} }) {
        eval { backup_one($conf, $policy, $target, $lock, $subject, \%made); 1 } or push @{ $made{failed} }, "$subject->{subject}: " . ($@ =~ s/\n+\z//r);
        last if stopping();
    }
    return \%made;
}

sub backup_one {
    my ($conf, $policy, $target, $lock, $subject, $made) = @_;
    my @paths = paths_of($subject);
    for my $path (@paths) { -e $path or die "$path cannot be read: $!\n" }
    my $tags = "coldspare,policy=$policy->{name},subject=" . encode($subject->{subject});
    my @excludes = map { ('--exclude', $_) } @{ $subject->{exclude} };
    # What a damaged pack held is stored again only if every file is read, not those alone that changed.
    my @force = damaged_packs(marks($target)) ? ('--force') : ();
    my @limit = $policy->{rate} ? ('--limit-upload', int($policy->{rate} * 1000 / 1.024)) : ();
    my $result = restic($conf, $target, { lock => $lock, ok => [3] }, 'backup', '--json', @force, @limit, '--host', $conf->{self}, '--tag', $tags, @excludes, '--', @paths);
    my ($summary) = grep { ($_->{message_type} // '') eq 'summary' } json_lines($result->{out});
    die last_words($result) . "\n" if !$summary || $result->{code} != 0 && $result->{code} != 3;
    my $id = $summary->{snapshot_id};
    $made->{bytes} += $summary->{data_added};
    $made->{sizes}{$id} = $summary->{total_bytes_processed};
    return unless $result->{code} == 3;
    my @unread = map { $_->{item} // () } grep { ($_->{message_type} // '') eq 'error' } json_lines($result->{err});
    my $files = join ', ', @unread[0 .. ($#unread > 9 ? 9 : $#unread)];
    $files .= ' and ' . (@unread - 10) . ' more' if @unread > 10;
    $made->{incomplete}{$id} = $files || 'files that restic does not name';
    push @{ $made->{failed} }, "$subject->{subject}: could not be read: $made->{incomplete}{$id}; point $id lacks them";
}

sub paths_of {
    my ($subject) = @_;
    return map { path($_) } @{ $subject->{values} } if $subject->{kind} eq 'path';
    return map { volume_path($_) } @{ $subject->{values} };
}

# Where the Engine keeps a volume. One of a device or a share is there only while a container uses it: else an empty folder would be saved.
sub volume_path {
    my ($name) = @_;
    my $result = capture({ seconds => 60 }, 'docker', 'volume', 'inspect', $name);
    die "docker volume inspect $name: " . ((reverse grep { /\S/ } split /\n/, $result->{err})[0] // "ended with $result->{code}") . "\n" if $result->{code};
    my ($volume) = @{ json($result->{out}) };
    my $path = $volume->{Mountpoint} // '';
    die "docker says no mountpoint of volume $name (driver " . ($volume->{Driver} // '?') . ")\n" if $path eq '';
    return $path unless ($volume->{Options} // {})->{device};
    my $mounts = slurp(kernel_file('/proc/self/mountinfo')) // '';
    die "docker volume $name is on a device of its own, and mounted only while a container uses it: start one, or save the folder it is made of\n"
        unless grep { (split ' ', $_)[4] eq $path } split /\n/, $mounts;
    return $path;
}

# ---- retention --------------------------------------------------------------------------------------------------------

# The points of a policy, and what a run just learned of them; noted for when the repository cannot be reached.
sub list_points {
    my ($conf, $policy, $target, $options, $sizes, $incomplete) = @_;
    my @points = snapshots($conf, $target, $options, $policy->{name});
    my $marks = marks($target);
    for my $short (keys %{ $sizes // {} }) {
        my ($id) = map { $_->{id} } grep { index($_->{id}, $short) == 0 } @points or next;
        $marks->{sizes}{$id} = $sizes->{$short};
        $marks->{bad}{$id} = { part => 'incomplete', at => iso(time), error => "lacks $incomplete->{$short}" } if $incomplete->{$short};
    }
    put_marks($target, $marks) if %{ $sizes // {} };
    remember_points($policy->{name}, map { point_line($marks, $_) } @points);
    return @points;
}

sub newest {
    my (@points) = @_;
    return undef unless @points;
    my $marks = marks({ name => $points[0]{target} });
    my ($newest) = sort { $b <=> $a } map { $_->{epoch} } good_points($marks, @points);
    return defined $newest ? iso($newest) : undef;
}

sub prune_policy {
    my ($name) = @_;
    my $conf = conf();
    my $policy = policy_of($conf, $name);
    my $target = target_of($conf, $policy->{target});
    my %job = (name => "$name.prune", describe($conf, $policy, $target, 'Retention'));
    return job($conf, \%job, sub {
        my ($lock) = @_;
        die { refused => "$target->{name} is append-only and this server is not the one that prunes it (pruneOn)" } if $target->{append} && !$target->{prune};
        my %options = (lock => $lock, prune => $target->{append} ? 1 : 0);
        my @points = list_points($conf, $policy, $target, \%options);
        return { newest => newest(@points), note => retention($conf, $policy, $target, \%options, @points) };
    });
}

# Which points go: what the rules do not keep of the good ones. A damaged point goes when its time is over and a newer good one is there.
sub superfluous {
    my ($policy, $marks, $now, @points) = @_;
    my %subjects;
    push @{ $subjects{ $_->{subject} } }, $_ for @points;
    my @gone;
    for my $subject (sort keys %subjects) {
        my @all = @{ $subjects{$subject} };
        my @good = good_points($marks, @all);
        my ($newest) = sort { $b->{epoch} <=> $a->{epoch} } @good;
        my ($kept, $kept_of_all) = (kept_of($policy->{keep}, @good), kept_of($policy->{keep}, @all));
        for my $point (@all) {
            next if $newest && $point->{id} eq $newest->{id} || !$newest;
            next if $point->{epoch} + ($policy->{immutable} // 0) > $now;
            push @gone, $point unless $marks->{bad}{ $point->{id} } ? $kept_of_all->{ $point->{id} } || $point->{epoch} > $newest->{epoch} : $kept->{ $point->{id} };
        }
    }
    return @gone;
}

# Names what it removes first; a run that is ended between removing points and freeing their room is finished by the next one.
sub retention {
    my ($conf, $policy, $target, $options, @points) = @_;
    return '' if $target->{append} && !$options->{prune};
    my $marks = marks($target);
    my @packs = damaged_packs($marks);
    return "Nothing was removed: the repository is damaged (pack $packs[0]), and pruning would make it worse." if @packs;
    my @gone = superfluous($policy, $marks, time, @points);
    my %gone = map { $_->{id} => 1 } @gone;
    my $marker = state_folder() . "/prune/$target->{name}";
    write_file($marker, "unfinished\n", 1) if @gone;
    # What is listed can be restored: out of the list first.
    remember_points($policy->{name}, map { point_line($marks, $_) } grep { !$gone{ $_->{id} } } @points) if @gone;
    while (my @some = splice @gone, 0, 100) {
        note('notice', "$policy->{name}: forgetting " . join ', ', map { "$_->{subject} of " . iso($_->{epoch}) } @some);
        must_restic($conf, $target, $options, 'forget', map { $_->{id} } @some);
    }
    return '' unless -e $marker;
    delete @{ $marks->{$_} }{ keys %gone } for qw(bad sizes);
    put_marks($target, $marks);
    must_restic($conf, $target, $options, 'prune');
    unlink $marker;
    return '';
}

1;
