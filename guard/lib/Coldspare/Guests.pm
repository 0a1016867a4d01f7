package Coldspare::Guests;
# Guests on this server: configuration, processes, and marks of what happens to them.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;
use Coldspare::Conf;

our @EXPORT = qw(config config_path tool runs guest_pid all_ids running_ids
    read_mark write_mark remove_mark born start_in_progress agent_alive
    permit_file permit read_validity write_validity record_words);

sub config_path {
    my ($guest, $vmid, $server) = @_;
    my $folder = $guest->{kind} eq 'lxc' ? 'lxc' : 'qemu-server';
    return path("/etc/pve/nodes/$server/$folder/$vmid.conf");
}

sub tool { return $_[0]{kind} eq 'lxc' ? 'pct' : 'qm' }

# The current settings of a guest whose configuration is on this server; undef when it is not.
sub config {
    my ($conf, $guest, $vmid) = @_;
    my $text = slurp(config_path($guest, $vmid, $conf->{self})) // return undef;
    $text =~ s/^\[.*//ms;    # snapshots follow
    my %config = map { /^([a-z]+\d*):\s*(.*?)\s*$/ ? ($1, $2) : () } split /\n/, $text;
    return \%config;
}

# The process of a guest: its pid file, checked against the process, as a pid may be somebody else's by now.
sub guest_pid {
    my ($guest, $vmid) = @_;
    my ($pid) = (slurp(path("/run/qemu-server/$vmid.pid")) // '') =~ /^(\d+)/ or return undef;
    my $command = slurp("/proc/$pid/cmdline") // return undef;
    return $command =~ /(?:^|[\0 ])\Q$vmid\E(?:[\0 ]|$)/ ? $pid : undef;
}

# A container listens on an abstract socket as long as it runs (PVE::LXC::list_active_containers reads the same table).
sub container_runs { my ($vmid) = @_; return (slurp('/proc/net/unix') // '') =~ m{\@/var/lib/lxc/\Q$vmid\E/command$}m }

sub runs { my ($guest, $vmid) = @_; return defined guest_pid($guest, $vmid) || $guest->{kind} eq 'lxc' && container_runs($vmid) }

# Also ids that are the guest's on other servers: a guest that was migrated here has them.
sub all_ids { my ($guest) = @_; my %seen; return grep { !$seen{$_}++ } map { $_->{vmid} } @{ $guest->{ids} } }
sub running_ids { my ($conf, $guest) = @_; return () unless $conf->{hypervisor}; return grep { runs($guest, $_) } all_ids($guest) }

sub mark_file { my ($kind, $name) = @_; return path("/run/coldspare/$kind/$name") }

# Marks in /run are of this boot by nature; the boot id guards against a /run that survives.
sub read_mark {
    my ($kind, $name) = @_;
    my $text = slurp(mark_file($kind, $name)) // return undef;
    my $mark = eval { words($text) } // return undef;
    return ($mark->{boot} // '') eq boot_id() ? $mark : undef;
}

sub write_mark {
    my ($kind, $name, %mark) = @_;
    write_file(mark_file($kind, $name), join(' ', 'boot=' . boot_id(), map { "$_=$mark{$_}" } sort keys %mark) . "\n", 0);
}

sub remove_mark { my ($kind, $name) = @_; unlink mark_file($kind, $name) }

# Field 22 of stat, counted behind the name in brackets: with it a pid is this process and no later one.
sub born { my ($pid) = @_; my ($rest) = (slurp("/proc/$pid/stat") // '') =~ /\)\s+(.*)/s or return undef; return (split ' ', $rest)[19] }

# A start that passed the hook and whose task still lives. A starter that cannot be seen from here (another PID namespace) is
# given two minutes.
sub start_in_progress {
    my ($guest) = @_;
    my $mark = read_mark('starting', $guest->{name}) // return undef;
    my $lives = $mark->{pid} > 1 ? (born($mark->{pid}) // '') eq $mark->{born} : uptime() - $mark->{at} < 120;
    return $lives ? $mark : undef;
}

sub agent_alive {
    my $mark = read_mark('agent', 'main') // return 0;
    return (born($mark->{pid}) // '') eq $mark->{born} && uptime() - $mark->{at} < 20 ? 1 : 0;
}

sub record_words {
    my ($record) = @_;
    my $who = $record->{server} eq $NOBODY ? 'no server may run it' : "$record->{server} may run it";
    my $since = ($record->{since} // $NOBODY) eq $NOBODY ? '' : " since $record->{since}";
    my $by = $record->{by} eq $NOBODY ? '' : ' (by ' . readable($record->{by}) . "$since)";
    return "epoch $record->{epoch}: $who$by" . ($record->{fresh} ? ' (no memory: never asked before)' : '');
}

sub permit_file { return path("/var/lib/coldspare/permits/$_[0]") }

# A person's permission for one start: good for ten minutes of this boot, and only as long as the own record is the one that was
# claimed with it. Who gave the guest up since, or was blocked by a later command, has no permission any more.
sub permit {
    my ($guest, $own) = @_;
    my $permit = eval { words(slurp(permit_file($guest->{name})) // '') } // {};
    return undef unless ($permit->{boot} // '') eq boot_id() && ($permit->{at} // '') =~ /^[\d.]+$/ && uptime() - $permit->{at} < 600;
    my $same = defined $own->{epoch} && "$own->{epoch} $own->{by}" eq join ' ', $permit->{epoch} // '', $permit->{by} // '';
    return $same ? $permit : undef;
}

# How long the guest may run, and what each voter's grant is worth: written by the hook and the agent, read by the agent that
# comes after a crashed one.
sub read_validity {
    my ($name) = @_;
    my $mark = read_mark('validity', $name) // return undef;
    my %held = map { /^($NAME):([\d.]+)$/ ? ($1, $2) : () } split /,/, $mark->{held} // '';
    return { until => number($mark->{until}, 'until'), held => \%held };
}

sub write_validity {
    my ($name, $lease) = @_;
    write_mark('validity', $name, until => $lease->{until}, held => join ',', map { "$_:$lease->{held}{$_}" } sort keys %{ $lease->{held} });
}

1;
