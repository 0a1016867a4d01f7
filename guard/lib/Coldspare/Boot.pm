package Coldspare::Boot;
# After a power cut of the whole site Proxmox VE starts guests before the voters are up; the guard refuses, and Proxmox VE does not
# try again. This does, in boot order, until everything that may run here runs. So it is with guests that the agent stopped when
# their leases ended: they start again once a majority grants them.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;
use Coldspare::Conf;
use Coldspare::Decisions;
use Coldspare::Guests;
use Coldspare::Reconcile qw(read_voters);

our @EXPORT = qw(boot);

# A machine with much memory takes its time; a start that is cut short would have to begin again.
my $START_SECONDS = 900;

sub boot {
    my $conf = eval { conf() };
    if (!$conf) { print STDERR "coldspare: $@"; return 1 }
    return 0 unless $conf->{hypervisor};
    # Once per boot: what a person stopped afterwards stays off, also when the unit is restarted.
    my @pending = read_mark('boot', 'done') ? () : grep { $_->{onboot} } values %{ $conf->{guests} };
    my %said;
    while (1) {
        my %known = map { $_->{name} => 1 } @pending;
        push @pending, grep { !$known{ $_->{name} } && read_mark('again', $_->{name}) } values %{ $conf->{guests} };
        @pending = sort { $a->{order} <=> $b->{order} || $a->{name} cmp $b->{name} } @pending;
        last unless @pending;
        my @left = pass_over($conf, \@pending, \%said);
        my %left = map { $_->{name} => 1 } @left;
        remove_mark('again', $_->{name}) for grep { !$left{ $_->{name} } } @pending;
        @pending = @left;
        select(undef, undef, undef, $conf->{renew}) if @pending;
    }
    write_mark('boot', 'done', at => uptime());
    return 0;
}

# One pass in order. Returns the guests that are to be tried again.
sub pass_over {
    my ($conf, $pending, $said) = @_;
    my $heard = read_voters($conf, @$pending);
    my @again;
    for my $guest (@$pending) {
        my ($what, $vmid, $why) = standing($conf, $guest, majority_record($guest->{voters}, $heard->{ $guest->{name} }));
        if ($what eq 'start') {
            my ($code, $text) = run($START_SECONDS, tool($guest), 'start', $vmid);
            if ($code == 0) {
                note('notice', "$guest->{name} ($vmid) was started after the boot");
                select(undef, undef, undef, $guest->{delay});
                next;
            }
            ($what, $why) = ('wait', "its start failed: $text");
        }
        note($what eq 'wait' ? 'warning' : 'notice', "$guest->{name}: $why") if ($said->{ $guest->{name} } // '') ne $why;
        $said->{ $guest->{name} } = $why;
        push @again, $guest if $what eq 'wait';
    }
    return @again;
}

# 'start' with the id, 'drop' for good or 'wait' for voters, and why.
sub standing {
    my ($conf, $guest, $record) = @_;
    my @running = running_ids($conf, $guest);
    return ('drop', undef, "$running[0] runs") if @running;
    my $vmid = id_to_start($conf, $guest);
    return ('drop', undef, 'nothing of it starts with this server') unless defined $vmid;
    return ('wait', undef, 'no majority of voters says who may run it') unless $record;
    return ('wait', undef, 'a switch is under way; the operator goes on with it') if $record->{server} eq $NOBODY;
    return ('drop', undef, "$record->{server} may run it") if $record->{server} ne $conf->{self};
    return ('start', $vmid, '');
}

# The id that is set to start with the server; after a failover to a standby, which is not, the one that ran here last.
sub id_to_start {
    my ($conf, $guest) = @_;
    my %here = map { my $config = config($conf, $guest, $_); $config ? ($_ => $config) : () } all_ids($guest);
    my @able = grep { ($here{$_}{tags} // '') !~ /\bcoldspare-diverged\b/ && !$here{$_}{template} } sort { $a <=> $b } keys %here;
    my $active = eval { words(slurp(path("/var/lib/coldspare/active/$guest->{name}")) // '') } // {};
    my @onboot = grep { ($here{$_}{onboot} // 0) eq '1' } @able;
    my @last = grep { $_ == ($active->{vmid} // 0) } @onboot ? @onboot : @able;
    return $last[0] // $onboot[0];
}

1;
