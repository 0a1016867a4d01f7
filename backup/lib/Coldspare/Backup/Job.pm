package Coldspare::Backup::Job;
# One run of anything: its lock, its record, and who is told how it ended.
use strict;
use warnings;
use Exporter 'import';
use Fcntl qw(:flock O_RDWR O_CREAT);
use POSIX ();
use Coldspare::System;
use Coldspare::Mail;
use Coldspare::Backup::Process;
use Coldspare::Backup::Remedy;

our @EXPORT_OK = qw($WAIT guarded locked is_locked job record_of records state_folder iso epoch_of inform);

# Seconds to wait for another run on the same target.
our $WAIT = 0;

sub state_folder { return path('/var/lib/coldspare/backup') }

sub iso { my @at = gmtime $_[0]; return POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', @at) }

# ISO 8601 with any zone, as restic and this program write it.
sub epoch_of {
    my ($text) = @_;
    my ($year, $month, $day, $hour, $minute, $second, $sign, $hours, $minutes) =
        ($text // '') =~ /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:Z|([+-])(\d\d):(\d\d))$/ or return undef;
    require Time::Local;
    my $epoch = Time::Local::timegm($second, $minute, $hour, $day, $month - 1, $year);
    my $offset = $sign ? ($hours * 3600 + $minutes * 60) * ($sign eq '-' ? -1 : 1) : 0;
    return $epoch - $offset;
}

# Turns what a command died of into words and an exit code.
sub guarded {
    my ($sub, @arguments) = @_;
    umask 0077;
    Coldspare::Backup::Process::heed_signals();
    my $code = eval { $sub->(@arguments) };
    return $code if defined $code;
    my $error = $@;
    return ref $error && $error->{use} ? tell_person("use: $error->{use}", 2) : ref $error && $error->{refused} ? tell_person($error->{refused}, 3) : tell_person($error, 1);
}

sub tell_person { my ($text, $code) = @_; chomp $text; print STDERR "coldspare-backup: $text\n"; return $code }

# ---- locks ------------------------------------------------------------------------------------------------------------

sub lock_handle {
    my ($target) = @_;
    my $folder = state_folder() . '/locks';
    make_folder($folder);
    sysopen(my $lock, "$folder/$target", O_RDWR | O_CREAT, 0600) or die "cannot open $folder/$target: $!\n";
    return $lock;
}

# The kernel gives a lock back when the last process that holds it ends: nothing is left to tidy up after a kill or a power cut.
sub locked {
    my ($target, $seconds) = @_;
    my $lock = lock_handle($target);
    my $end = uptime() + ($seconds // $WAIT);
    until (flock($lock, LOCK_EX | LOCK_NB)) {
        die { refused => "another run works on $target; wait for its end, or give --wait SECONDS" } if uptime() >= $end || stopping();
        select(undef, undef, undef, 0.5);
    }
    return $lock;
}

sub is_locked { my ($target) = @_; my $lock = eval { lock_handle($target) } or return 0; return !flock($lock, LOCK_EX | LOCK_NB) }

# ---- records ----------------------------------------------------------------------------------------------------------

sub record_file { my ($name) = @_; return state_folder() . "/jobs/$name" }

sub record_of {
    my ($name) = @_;
    my $words = eval { words(slurp(record_file($name)) // '') } // {};
    return { map { $_ => decode($words->{$_}) } keys %$words };
}

sub put_record {
    my ($name, $record) = @_;
    write_file(record_file($name), join(' ', map { "$_=" . encode($record->{$_}) } grep { defined $record->{$_} } sort keys %$record) . "\n", 1);
}

sub records {
    my $folder = state_folder() . '/jobs';
    return map { /([^\/]+)$/ ? $1 : () } sort grep { !/\.new$/ } glob(quotemeta($folder) . '/*');
}

# ---- a job ------------------------------------------------------------------------------------------------------------

# $job: { name, kind, policy, target, notify, lock }. The work gets the lock and returns { bytes, newest, note }, or dies of what failed.
sub job {
    my ($conf, $job, $work) = @_;
    my $before = record_of($job->{name});
    my $lock = locked($job->{lock} // $job->{target});
    my $began = time;
    my %record = (kind => $job->{kind}, policy => $job->{policy}, target => $job->{target}, began => iso($began), newest => $before->{newest}, pid => $$);
    put_record($job->{name}, { %record, state => 'running', error => $before->{error}, at => $before->{at} });
    my $result = eval { $work->($lock, $job) };
    my $error = $result ? '' : ref $@ ? $@->{refused} // $@->{use} : $@;
    my $code = $result ? 0 : ref $@ && $@->{refused} ? 3 : 1;
    $error =~ s/\n+\z//;
    $result //= {};
    # A run that could look says which point is the newest good one, also that there is none; another one leaves what was known.
    my ($newest) = map { $_->{newest} } grep { exists $_->{newest} } $result, $job, $before;
    my $ended = { %record, state => $code ? 'failed' : 'ok', at => iso(time), seconds => time - $began, bytes => $result->{bytes} // 0, newest => $newest, error => $error };
    eval { put_record($job->{name}, $ended); 1 } or $error ||= $@;
    tell_end($conf, $job, $ended, ($before->{state} // '') eq 'failed', $result->{note} // '');
    if ($code) { say_and_note('error', "$job->{name}: $error"); my $fix = remedy($error, $job); print STDERR "Fix: $fix\n" }
    else { note('notice', "$job->{name}: done in $ended->{seconds} s, $ended->{bytes} bytes") }
    return $code;
}

sub tell_end {
    my ($conf, $job, $ended, $failed_before, $more) = @_;
    my $wanted = $job->{notify} // 'failure';
    my $failed = $ended->{state} eq 'failed';
    return unless $wanted eq 'always' || $wanted eq 'failure' && ($failed || $failed_before);
    my $outcome = $failed ? 'failed' : $failed_before ? 'works again' : 'done';
    my @lines = (
        "$job->{what} $outcome on $conf->{self}.", '',
        "Site:       $conf->{site}", "Job:        $job->{name}", "Target:     $job->{target}" . ($job->{where} ? " ($job->{where})" : ''),
        "Point:      " . ($ended->{newest} ? "the newest good one is of $ended->{newest}" . ($job->{point} ? ", $job->{point}" : '') : 'there is no good one yet'),
        "Began:      $ended->{began}", "Ended:      $ended->{at}",
    );
    push @lines, '', 'What failed:', $ended->{error}, '', 'What to do:', remedy($ended->{error}, $job) if $failed;
    push @lines, '', $more if $more ne '';
    inform($conf, "[coldspare] $conf->{site}: $job->{what} to $job->{target} $outcome on $conf->{self}", join("\n", @lines));
}

sub inform {
    my ($conf, $subject, $text) = @_;
    return unless $conf->{mail};
    eval { Coldspare::Mail::tell($conf->{mail}, $subject, "$text\n"); 1 } or note('error', "no message: $@");
}

1;
