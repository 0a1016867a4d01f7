package Coldspare::SshGate;
# Which commands of coldspare a key may run here that is not root's in full. A command is allowed when all of its words are; no
# shell sees them. Texts for `sh -c` are those of the program, letter by letter (tests compare them), so a program of another
# release may be refused: `pulumi up` brings the servers to the release of whoever runs it.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;

our @EXPORT = qw(gate);

my $REFUSED = 126;
my $SBIN = '/usr/local/sbin';
my $NODE = "$SBIN/coldspare-node";
my $DRILL = "$SBIN/coldspare-drill";
my $BACKUP = "$SBIN/coldspare-backup";
my $ZFS = "$SBIN/coldspare-zfs";
my $KEPT = '/var/lib/coldspare';

# Patterns of one whole word. None takes a word that begins with '-': it would be an option.
my $SERVER = qr/$NAME/;
my $WORD = qr/[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.)){0,150}/;
my $ID = qr/[A-Za-z0-9](?:[A-Za-z0-9_:@\/+,=-]|\.(?!\.)){0,400}/;
my $TEXT = qr/(?!-)[^\x00-\x1f\x7f]{1,1000}/;
my $VMID = qr/[1-9][0-9]{2,8}/;
my $JOB = qr/[1-9][0-9]{2,8}-[0-9]{1,9}/;
my $NUMBER = qr/[0-9]{1,9}/;
my $ADDRESS = qr/[0-9A-Fa-f][0-9A-Fa-f.:]{1,45}|::[0-9A-Fa-f.:]{0,43}/;
my $BY = qr/[A-Za-z0-9%._@+-]{1,400}/;
my $VOLUME = qr/[A-Za-z][A-Za-z0-9_.-]*:(?:[A-Za-z0-9_:@\/+=-]|\.(?!\.)){1,300}/;
my $DATASET = qr/[A-Za-z0-9](?:[A-Za-z0-9_:\/-]|\.(?!\.)){0,250}/;
# Hidden folders are left out: /root/.ssh.
my $PATH = qr{(?:/(?!\.)[^\x00-\x1f\x7f/]+)+};
my $DISK_FILE = qr{/(?:[A-Za-z0-9_+-][A-Za-z0-9_.+-]*/)+(?:vm|base)-[0-9]+-[A-Za-z0-9_.-]+|rbd:[A-Za-z0-9_./-]+/(?:vm|base)-[0-9]+-[A-Za-z0-9_.:=/\\,-]+};
my $ARCHIVE_FILE = qr{/(?:[A-Za-z0-9_+-][A-Za-z0-9_.+ -]*/)+vzdump-(?:qemu|lxc)-[0-9]+-[A-Za-z0-9_.-]+};

my $DRILLS_TEXT = q{for f in /var/lib/coldspare/drills/*.json; do test -f "$f" && { tr -d '\n' <"$f"; echo; }; done; true};
my $TESTS_TEXT = $DRILLS_TEXT =~ s/drills/restore-tests/r;

my $FACTS_TEXT = q{cd /
echo '== history'; cat /etc/coldspare/history 2>/dev/null
echo '== diverged'; ls /var/lib/coldspare/diverged 2>/dev/null
echo '== paused'; ls /var/lib/coldspare/drills 2>/dev/null | sed -n 's/^paused-//p'
echo '== snapshots'; if command -v zfs >/dev/null; then zfs list -H -t snapshot -o name 2>/dev/null | grep '@__replicate_'; fi
echo '== replicas'; if [ -r /etc/coldspare/zfs.conf ] && [ -x /usr/local/sbin/coldspare-zfs ]; then
/usr/local/sbin/coldspare-zfs replica status --plain 2>/dev/null
sed -n 's/^replica \([^ ]*\) .*/\1/p' /etc/coldspare/zfs.conf | while read -r guest; do /usr/local/sbin/coldspare-zfs replica points "$guest" --plain 2>/dev/null; done
fi
echo '== drills'; } . $DRILLS_TEXT;

# A result is written whole or not at all.
sub keep_text { my ($folder) = @_; return qq{umask 022; mkdir -p $folder && cat > "$folder/.\$1.new" && mv "$folder/.\$1.new" "$folder/\$1"} }

my $EXTRACT_TEXT = q{umask 077; volume=$1; into=$2; shift 2; archive=$(pvesm path "$volume") && mkdir -p -- "$into" && exec tar --auto-compress --extract --keep-old-files --numeric-owner --file "$archive" --directory "$into" -- "$@"};

# What keeps a connection open, and is the one line that comes as it is: providers/ssh/master.ts.
my $STAY_LINE = q{echo coldspare-ready; exec cat >/dev/null};

# Each element is a word, a pattern of a word, or (the last) what looks at all words that are left.
my @MONITOR = (
    ['cat', '/etc/coldspare/site.json'],
    ['cat', qr{/var/lib/coldspare/media/$WORD\.swaps}],
    [$NODE, 'serve', 'ping'],
    [$NODE, 'serve', 'read', each_is($SERVER)],
    [$NODE, 'journal', 'list'],
    ['sh', '-c', $STAY_LINE],
    ['sh', '-c', $FACTS_TEXT],
    ['sh', '-c', $TESTS_TEXT],
    (map { ([$_, 'status', '--plain'], [$_, 'points', '--plain'], [$_, 'points', '--plain', '--cached']) } $BACKUP, $ZFS),
    [$BACKUP, 'media', 'status', '--plain'],
    [$BACKUP, 'media', 'points', $WORD, '--plain'],
);

my @SWITCH = (
    ['true'],
    [$NODE, 'serve', 'claim', $BY, each_is(qr/$NAME=[0-9]{1,15}@(?:$NAME|-)/)],
    [$NODE, 'serve', 'release', $BY, $SERVER, each_is(qr/$NAME=[0-9]{1,15}/)],
    [$NODE, 'take-config', $VMID, $SERVER],
    [$NODE, 'allow', $SERVER, '--because', $TEXT, '--expect', $NUMBER, $BY],
    [$NODE, 'journal', 'append', $WORD],
    (map { ([$_, 'unlock', $VMID], [$_, 'status', $VMID], [$_, 'shutdown', $VMID, '--timeout', $NUMBER]) } 'qm', 'pct'),
    ['qm', 'agent', $VMID, 'ping'],
    ['pvecm', 'expected', '1'],
    ['shutdown', '-h', 'now'],
    ['ping', '-c', '1', '-W', '2', $ADDRESS],
    ['timeout', '3', 'bash', '-c', 'exec 3<>"/dev/tcp/$1/$2"', 'bash', $ADDRESS, $NUMBER],
    ['rm', '-f', qr{$KEPT/diverged/$NAME}],
    ['cat', qr{/etc/pve/nodes/$NAME/qemu-server/$VMID\.conf}],
    ['pvesm', 'path', $VOLUME],
    ['qm', 'create', $VMID, \&is_copy],
    ['zfs', 'get', '-H', '-o', 'value', 'readonly', each_is($DATASET)],
    [$ZFS, 'replica', qr/sync|passive|activate|reverse/, $SERVER],
    [$ZFS, 'replica', 'activate', $SERVER, '--point', $ID],
    [$ZFS, 'replica', 'reverse', $SERVER, '--discard'],
    ['env', \&is_site_command],
    ['pct', 'exec', $VMID, '--', \&is_guest_command],
    ['qm', 'guest', 'exec', $VMID, '--timeout', $NUMBER, '--', \&is_guest_command],
);

my @DRILLS = (
    [$DRILL, 'list'],
    [$DRILL, 'net-up', $SERVER, each_is(qr{csd[0-9a-f]{1,10}=[0-9A-Fa-f.:/,]*})],
    [$DRILL, 'net-down', $SERVER],
    [$DRILL, 'probe', $SERVER, 'ping', $ADDRESS],
    [$DRILL, 'probe', $SERVER, 'tcp', $ADDRESS, $NUMBER],
    [$DRILL, 'probe', $SERVER, qr/https?/, $ADDRESS, $NUMBER, qr{/[\x21-\x7e]*}, qr/[0-9]{0,3}/, qr/[^\x00]*/],
    [$DRILL, 'probe', $SERVER, 'command', \&is_site_probe],
    ['sh', '-c', qq{mkdir -p $KEPT/drills && : > "$KEPT/drills/paused-\$1"}, 'sh', $JOB],
    ['sh', '-c', "ls $KEPT/drills 2>/dev/null; true"],
    ['rm', '-f', qr{$KEPT/drills/paused-$JOB}],
    ['sh', '-c', 'for f; do cat "$f" 2>/dev/null; done; true', 'sh', each_is(qr{/etc/pve/nodes/$NAME/qemu-server/$VMID\.conf})],
    (map { ['sh', '-c', keep_text("$KEPT/$_"), 'sh', qr/$NAME\.json/] } 'drills', 'restore-tests'),
);

my @BACKUPS = (
    (map { ([$_, 'run', $WORD], [$_, 'verify', $WORD]) } $BACKUP, $ZFS),
    [$BACKUP, 'media', qr/run|verify|eject/, $WORD],
    [$BACKUP, 'media', 'record', $WORD, qr/attached|detached/, $WORD, '--by', $TEXT],
    [$BACKUP, 'media', 'init', $WORD, $WORD],
    [$BACKUP, 'media', 'init', $WORD, $WORD, '--replace'],
    [$BACKUP, 'restore', $WORD, $ID, '--to', \&is_place_and_paths],
    [$ZFS, 'restore', $ID, $ID, '--to', $DATASET],
    ['sh', '-c', $EXTRACT_TEXT, 'sh', $VOLUME, \&is_place_and_members],
    ['proxmox-backup-manager', 'verify', $WORD, '--ignore-verified', 'false'],
    (map { ['sh', '-c', $_, 'sh', $ARCHIVE_FILE] } 'exec zstd -q -t -- "$1"', 'exec gzip -t -- "$1"',
        'exec lzop -q -t -- "$1"', 'exec vma verify "$1"', 'exec tar -tf "$1" >/dev/null'),
);

my %DUTIES = (monitor => \@MONITOR, operate => [@MONITOR, @SWITCH, @DRILLS, @BACKUPS]);

# One word of each that is left, and at least one.
sub each_is { my ($pattern) = @_; return sub { @_ > 0 && !grep { !/\A(?:$pattern)\z/ } @_ } }

# What a copy of a machine is made of: its own configuration without anything that reaches the server itself (arguments for the
# emulator, hook scripts, devices), and disks from files of machines' disks.
my $PLAIN_KEY = qr/acpi|affinity|agent|allow-ksm|amd-sev|arch|audio0|autostart|balloon|bios|boot|bootdisk|cicustom|cipassword|citype|ciupgrade|ciuser|cores|cpu|cpulimit|cpuunits|description|freeze|hotplug|hugepages|intel-tdx|ipconfig[0-9]+|keephugepages|keyboard|kvm|localtime|machine|memory|migrate_downtime|migrate_speed|name|nameserver|net[0-9]+|numa[0-9]*|onboot|ostype|reboot|rng0|scsihw|searchdomain|shares|smbios1|smp|sockets|spice_enhancements|sshkeys|startdate|tablet|tags|tdf|vcpus|vga|virtiofs[0-9]+|vmstatestorage|watchdog/;
my $DRIVE_KEY = qr/(?:ide|sata|scsi|virtio)[0-9]+|efidisk0|tpmstate0/;
my $STORAGE = qr/[A-Za-z][A-Za-z0-9_.-]*/;
my $DRIVE_OPTION = qr/,(?!(?:file|volume|import-from)=)[a-z][a-z0-9_-]*=[A-Za-z0-9_.:%+\/;-]*/;
my $DRIVE = qr/$STORAGE:0,import-from=(?:$DISK_FILE)(?:$DRIVE_OPTION)*|$STORAGE:cloudinit|none,media=cdrom/;

sub is_copy {
    my (@words) = @_;
    return 0 if !@words || @words % 2;
    while (my ($key, $value) = splice(@words, 0, 2)) {
        $key =~ s/\A--// or return 0;
        return 0 if $value =~ /\A-/ || $value =~ /\x00/;
        next if $key =~ /\A(?:$PLAIN_KEY)\z/;
        next if $key =~ /\Aserial[0-9]\z/ && $value =~ m{\A(?:socket|/dev/tty[A-Za-z0-9]+)\z};
        return 0 unless $key =~ /\A(?:$DRIVE_KEY)\z/ && $value =~ /\A(?:$DRIVE)\z/;
    }
    return 1;
}

# Files come back beside what is there: never into what the system itself runs or believes.
sub is_place {
    my ($place) = @_;
    return 0 unless defined $place && $place =~ /\A$PATH\/?\z/;
    require Cwd;
    # What is not there yet is made below the part that is; a link must not lead elsewhere.
    my $there = $place;
    $there =~ s{/[^/]*\z}{} while $there ne '' && !-e path($there);
    return 0 if -l path($place) && !-e path($place);
    my $real = $there eq '' ? '' : Cwd::realpath(path($there)) // return 0;
    return !grep { m{\A(?:/(?:etc|usr|bin|sbin|lib[0-9a-z]*|boot|dev|proc|sys|run|opt|var/(?!tmp(?:/|\z)).*|var)(?:/|\z)|.*/\.)} }
        $place, substr($real, length $ROOT) . substr($place, length $there);
}

sub is_place_and_paths {
    my ($place, @words) = @_;
    return 0 if @words % 2 || !is_place($place);
    while (my ($option, $path) = splice(@words, 0, 2)) {
        return 0 unless $option eq '--path' && $path =~ /\A$TEXT\z/;
    }
    return 1;
}

sub is_place_and_members {
    my ($place, @members) = @_;
    return is_place($place) && !grep { !m{\A\./[^\x00-\x1f\x7f]+\z} } @members;
}

# Commands and probes of the site's own stand in its manifest, which `pulumi up` placed here: these, word by word, and no others.
my $VARIABLE = qr/COLDSPARE_(?:GUEST|GROUP|FROM|TO)=$NAME/;

sub is_site_command {
    my (@words) = @_;
    shift @words while @words && $words[0] =~ /\A$VARIABLE\z/;
    return is_listed(sub { defined $_[0]{when} && ($_[0]{on} // '') !~ /\A(?:guest|operator)\z/ }, @words);
}

# A machine of Windows gets no variables, so no `env` either.
sub is_guest_command {
    my (@words) = @_;
    my $wanted = sub { defined $_[0]{when} && ($_[0]{on} // '') eq 'guest' };
    return is_listed($wanted, @words) if @words && $words[0] ne 'env';
    shift @words;
    shift @words while @words && $words[0] =~ /\A$VARIABLE\z/;
    return is_listed($wanted, @words);
}

sub is_site_probe { return is_listed(sub { ($_[0]{kind} // '') eq 'command' }, @_) }

sub is_listed {
    my ($wanted, @words) = @_;
    my $text = @words ? slurp(path('/etc/coldspare/site.json')) : undef;
    return 0 unless defined $text && eval { require JSON::PP; 1 };
    # Read as bytes, as the words are.
    my $site = eval { JSON::PP->new->decode($text) };
    return scalar grep { $wanted->($_) && same($_->{run}, \@words) } runs_in($site);
}

sub runs_in {
    my ($value) = @_;
    return map { runs_in($_) } @$value if ref $value eq 'ARRAY';
    return () unless ref $value eq 'HASH';
    return ((ref $value->{run} eq 'ARRAY' ? $value : ()), map { runs_in($_) } values %$value);
}

sub same {
    my ($one, $other) = @_;
    return @$one == @$other && !grep { $one->[$_] ne $other->[$_] } 0 .. $#$one;
}

# The words of a command as the program quotes them (providers/ssh/quote.ts); none for a line that it would not have written.
sub words_of {
    my ($line) = @_;
    my @words;
    pos($line) = 0;
    while ($line =~ /\G(?:([A-Za-z0-9_@%+:,.\/-]+)|'((?:[^']|'\\'')*+)')(?=( ?))/gc) {
        my ($word, $quoted, $blank) = ($1, $2, $3);
        push @words, $word // $quoted =~ s/'\\''/'/gr;
        return @words if pos($line) == length $line;
        return () if $blank eq '' || pos($line) + 1 == length $line;
        pos($line)++;
    }
    return ();
}

sub fits {
    my ($rule, @words) = @_;
    for my $part (@$rule) {
        return $part->(@words) if ref $part eq 'CODE';
        my $word = shift @words // return 0;
        return 0 unless ref $part ? $word =~ /\A(?:$part)\z/ : $word eq $part;
    }
    return !@words;
}

sub allows { my ($duty, @words) = @_; return scalar grep { fits($_, @words) } @{ $DUTIES{$duty} } }

# What may be told of a command: its program, and what that is to do. Arguments may be anything.
sub told {
    my (@words) = @_;
    return 'a line that coldspare does not write' unless @words;
    my ($program, $action) = @words;
    return 'a program with an odd name' unless $program =~ m{\A[A-Za-z0-9_./-]{1,80}\z};
    return $program =~ m{(?:\A|/)coldspare-[a-z]+\z} && ($action // '') =~ /\A[a-z-]{1,30}\z/ ? "'$program $action ...'" : "'$program'";
}

sub refuse {
    my ($text) = @_;
    print STDERR "coldspare-ssh: $text\n";
    my ($client) = ($ENV{SSH_CONNECTION} // '') =~ /\A([0-9A-Fa-f.:%a-z]+) /;
    note('warning', "coldspare-ssh: $text" . (defined $client ? " (from $client)" : ''));
    return $REFUSED;
}

sub gate {
    my ($duty, @more) = @_;
    my $dry = @more == 1 && $more[0] eq '--dry-run';
    return refuse('use: coldspare-ssh monitor|operate [--dry-run], as the command of a key in authorized_keys')
        if !$DUTIES{ $duty // '' } || @more && !$dry;
    my $line = $ENV{SSH_ORIGINAL_COMMAND} // '';
    return refuse("this key is for coldspare's duty $duty: it opens no shell") if $line eq '';
    my @words = $line eq $STAY_LINE ? ('sh', '-c', $STAY_LINE) : words_of($line);
    if (!allows($duty, @words)) {
        my $more = $duty eq 'monitor' && allows('operate', @words) ? 'that is for keys of duty operate'
            : 'if it is a command of coldspare, its release and that of this server differ: `pulumi up`; anything else wants root\'s own key';
        return refuse(told(@words) . " is not what a key of duty $duty may run here: $more");
    }
    return 0 if $dry;
    # What runs now was not asked by this line, but by its words: coldspare-node reads the line of a peer from here.
    delete $ENV{SSH_ORIGINAL_COMMAND};
    no warnings 'exec';
    exec { $words[0] } @words;
    print STDERR "coldspare-ssh: $words[0]: $!\n";
    return 127;
}

1;
