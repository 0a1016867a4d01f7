package Coldspare::Backup::Restic;
# restic, called for one target: credentials by its environment, retries over a lost link, locks of the dead.
use strict;
use warnings;
use Exporter 'import';
use JSON::PP ();
use Coldspare::System;
use Coldspare::Backup::Conf;
use Coldspare::Backup::Process;

our @EXPORT = qw(restic must_restic json json_lines snapshots snapshot_point last_words unlock_dead environment);

# Text stays the bytes it came as: names of files need not be UTF-8.
my $JSON = JSON::PP->new;

sub json { my ($text) = @_; return eval { $JSON->decode($text) } // die 'restic answered what is no JSON: ' . substr($text, 0, 200) . "\n" }

# Lines of JSON among others, as `backup --json` prints them.
sub json_lines { return grep { ref $_ eq 'HASH' } map { eval { $JSON->decode($_) } } grep { /^\{/ } split /\n/, $_[0] }

# What a child needs to know, and nobody else. Returns the environment and the values that must never be printed.
sub environment {
    my ($target, $options) = @_;
    my $prune = $options->{prune} ? '-prune' : '';
    my %env = (
        RESTIC_REPOSITORY => $target->{repository},
        RESTIC_PASSWORD_FILE => $options->{password_file} // secret_file($target->{password}),
        RESTIC_CACHE_DIR => path('/var/cache/coldspare/restic'),
        RESTIC_PROGRESS_FPS => '0.016',
        HOME => '/root',
        TMPDIR => $ENV{TMPDIR} // '/var/tmp',
    );
    my @hidden = ();
    if (defined $target->{access}) {
        $env{AWS_ACCESS_KEY_ID} = secret($target->{access} . $prune);
        $env{AWS_SECRET_ACCESS_KEY} = secret($target->{secret} . $prune);
        $env{AWS_DEFAULT_REGION} = $target->{region} if defined $target->{region};
        push @hidden, $env{AWS_SECRET_ACCESS_KEY};
    }
    if (defined $target->{userpassword}) {
        my $password = secret($target->{userpassword} . $prune);
        my $login = join ':', map { s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ger } $target->{user} // 'coldspare', $password;
        $env{RESTIC_REPOSITORY} =~ s{^(rest:https?://)(?:[^/\@]*\@)?}{$1$login\@} or die "target $target->{name}: '$target->{repository}' is no URL of a rest-server\n";
        push @hidden, $password, $login =~ s/^.*?://r;
    }
    return (\%env, @hidden);
}

# The pinned host keys alone count, and a key that is for backups only.
sub options_of {
    my ($target) = @_;
    my @options;
    if ($target->{repository} =~ m{^sftp://(?:([^\@/]+)\@)?(\[[^\]]+\]|[^:/]+)(?::(\d+))?/}) {
        my ($user, $host, $port) = ($1 // 'root', $2 =~ s/[\[\]]//gr, $3 // 22);
        my @ssh = map { ('-o', $_) } 'UserKnownHostsFile=' . path("/etc/coldspare/backup/$target->{name}.known_hosts"),
            qw(GlobalKnownHostsFile=/dev/null StrictHostKeyChecking=yes BatchMode=yes IdentitiesOnly=yes ConnectTimeout=15
            ServerAliveInterval=15 ServerAliveCountMax=4 LogLevel=ERROR ClearAllForwardings=yes);
        my @command = ('ssh', '-F', '/dev/null', '-i', path('/etc/coldspare/backup_ed25519'), '-p', $port, '-l', $user, @ssh, $host, '-s', 'sftp');
        push @options, '-o', 'sftp.command=' . join(' ', map { quoted($_) } @command);
    }
    push @options, '--cacert', path("/etc/coldspare/backup/$target->{name}.pem") if $target->{ca};
    push @options, '--limit-upload', int($target->{rate} * 1000 / 1.024) if $target->{rate};
    return @options;
}

# restic splits the command as a shell would, quotes and all.
sub quoted { my ($word) = @_; return $word =~ m{^[\w\@%+=:,./\[\]-]+$} ? $word : '"' . ($word =~ s/(["\\])/\\$1/gr) . '"' }

# What never gets better by waiting.
my $FINAL = qr/wrong password|no key found|no space left|quota exceeded|file too large|Is there a repository|access ?denied|forbidden|host key verification|permission denied|invalid argument|unknown flag|x509|contains errors|already (?:exists|initialized)/i;

sub scrubbed {
    my ($text, @hidden) = @_;
    for my $hidden (grep { length } @hidden) { $text =~ s/\Q$hidden\E/***/g }
    return $text;
}

# Options: lock, prune (its credentials), password_file, seconds, tries, ok (codes that are no failure). Returns as capture.
sub restic {
    my ($conf, $target, $options, @words) = @_;
    my ($env, @hidden) = environment($target, $options);
    make_folder($env->{RESTIC_CACHE_DIR});
    my @argv = ('restic', options_of($target), @words);
    my %ok = map { $_ => 1 } 0, @{ $options->{ok} // [] };
    my @waits = @{ $conf->{retry} };
    $#waits = $options->{tries} - 2 if $options->{tries} && @waits > $options->{tries} - 1;
    for (;;) {
        my $result = capture({ env => $env, lock => $options->{lock}, seconds => $options->{seconds} }, @argv);
        $result->{$_} = scrubbed($result->{$_}, @hidden) for qw(out err);
        return $result if $ok{ $result->{code} } || stopping();
        my $locked = $result->{err} =~ /already locked/i;
        next if $locked && unlock_dead($conf, $target, $options);
        return $result if !@waits || $result->{err} =~ $FINAL;
        my $wait = shift @waits;
        note('warning', "target $target->{name}: restic $words[0]: " . last_words($result) . "; again in $wait s");
        my $end = uptime() + $wait;
        select(undef, undef, undef, 0.2) while uptime() < $end && !stopping();
    }
}

# Removes locks only if each of this machine's is of a process that is gone; restic itself then also drops those that nobody has renewed for
# half an hour. True when something was done.
sub unlock_dead {
    my ($conf, $target, $options) = @_;
    return 0 if $options->{unlocked};
    my %plain = (%$options, ok => []);
    my $list = restic_once($target, \%plain, 'list', 'locks', '--no-lock');
    return 0 if $list->{code};
    chomp(my $host = slurp('/proc/sys/kernel/hostname') // '');
    my $dead = 0;
    for my $id ($list->{out} =~ /^([0-9a-f]{8,64})\b/mg) {
        my $cat = restic_once($target, \%plain, 'cat', 'lock', $id, '--no-lock');
        my $lock = $cat->{code} ? next : json($cat->{out});
        next unless ($lock->{hostname} // '') eq $host;
        return 0 if is_restic($lock->{pid});
        $dead++;
    }
    return 0 unless $dead;
    $options->{unlocked} = 1;
    note('warning', "target $target->{name}: removing $dead locks of runs on this server that ended without a word");
    return restic_once($target, \%plain, 'unlock')->{code} == 0;
}

# Whether that process still is one of restic's: its number may have been given out again, and one that has ended may not be collected yet.
sub is_restic {
    my ($pid) = @_;
    my ($name, $state) = (slurp("/proc/$pid/stat") // '') =~ /^\d+ \((.*)\) (\S)/s or return 0;
    return $name eq 'restic' && $state !~ /[ZX]/;
}

sub restic_once {
    my ($target, $options, @words) = @_;
    my ($env, @hidden) = environment($target, $options);
    my $result = capture({ env => $env, lock => $options->{lock}, seconds => 300 }, 'restic', options_of($target), @words);
    $result->{$_} = scrubbed($result->{$_}, @hidden) for qw(out err);
    return $result;
}

# What restic said last that tells anything.
sub last_words {
    my ($result) = @_;
    my @lines = grep { /\S/ && !/^\{/ } split /\n/, $result->{err};
    my @fatal = grep { /^Fatal|error|denied|refused/i && !/returned error, retrying/ } @lines;
    my $text = join '; ', @fatal ? @fatal[-($#fatal > 2 ? 3 : @fatal) .. -1] : $lines[-1] // ();
    return $text ne '' ? substr($text, 0, 600) : "restic ended with $result->{code}";
}

sub must_restic {
    my ($conf, $target, $options, @words) = @_;
    my $result = restic($conf, $target, $options, @words);
    die last_words($result) . "\n" if $result->{code};
    return $result;
}

# Snapshots of a policy (of all of them without one), oldest first.
sub snapshots {
    my ($conf, $target, $options, $policy) = @_;
    my @filter = defined $policy ? ('--tag', "coldspare,policy=$policy") : ('--tag', 'coldspare');
    # Who prunes for others sees what they made.
    push @filter, '--host', $conf->{self} unless $target->{prune};
    my $result = must_restic($conf, $target, $options, 'snapshots', '--json', '--no-lock', @filter);
    return sort { $a->{epoch} <=> $b->{epoch} || $a->{id} cmp $b->{id} } map { snapshot_point($target, $_) } @{ json($result->{out}) // [] };
}

sub snapshot_point {
    my ($target, $snapshot) = @_;
    require Coldspare::Backup::Job;
    require Coldspare::Backup::Keep;
    my %tags = map { /^(policy|subject)=(.*)$/ ? ($1 => $2) : () } @{ $snapshot->{tags} // [] };
    my @written = $snapshot->{time} =~ /^(\d{4})-(\d\d)-(\d\d)T(\d\d)/;
    return {
        id => $snapshot->{id}, epoch => Coldspare::Backup::Job::epoch_of($snapshot->{time}), periods => Coldspare::Backup::Keep::periods(@written),
        policy => $tags{policy}, subject => decode($tags{subject} // ''), target => $target->{name}, paths => $snapshot->{paths} // [],
    };
}

1;
