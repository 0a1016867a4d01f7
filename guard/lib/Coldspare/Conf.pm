package Coldspare::Conf;
# node.conf: this server, its peers, and the guests it has a vote on or runs.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;

our @EXPORT = qw(conf conf_file ids_here guest_of);

sub conf_file { return path('/etc/coldspare/node.conf') }

sub read_conf {
    my ($text) = @_;
    my %conf = (term => 60, renew => 10, margin => 75, watchdog => 60, stop => 5, hypervisor => 0, fencing => 'confirm', peers => {}, guests => {});
    for my $line (grep { /\S/ && !/^#/ } split /\n/, $text) {
        my ($key, @rest) = split ' ', $line;
        if ($key eq 'peer') {
            my ($name, $address, $port) = "@rest" =~ /^($NAME) ([0-9A-Za-z.:][0-9A-Za-z.:-]*) (\d{1,5})$/ or die "line '$line' is no peer\n";
            $conf{peers}{$name} = { address => $address, port => $port };
        }
        elsif ($key eq 'guest') { my $guest = read_guest(@rest); $conf{guests}{ $guest->{name} } = $guest }
        elsif ($key =~ /^(?:term|renew|margin|watchdog|stop|hypervisor)$/) { $conf{$key} = number($rest[0], $key) }
        elsif ($key =~ /^(?:format|site|self|fencing)$/) { $conf{$key} = $rest[0] // die "line '$line' has no value\n" }
    }
    die 'its format is ' . ($conf{format} // 'missing') . ", this program reads 1\n" unless ($conf{format} // '') eq '1';
    die "it does not say which server this is (self)\n" unless ($conf{self} // '') =~ /^$NAME$/;
    die "fencing '$conf{fencing}' is none of confirm, power, lease\n" unless $conf{fencing} =~ /^(?:confirm|power|lease)$/;
    return \%conf;
}

sub read_guest {
    my ($name, $kind, @rest) = @_;
    die "'" . ($name // '') . "' is no name of a guest\n" unless ($name // '') =~ /^$NAME$/;
    die "guest $name is neither qemu nor lxc\n" unless ($kind // '') =~ /^(?:qemu|lxc)$/;
    my $guest = words("@rest");
    integer($guest->{$_}, "guest $name: $_") for grep { defined $guest->{$_} } qw(order delay onboot);
    $guest->{$_} = [split /,/, $guest->{$_} // ''] for qw(voters ids);
    for my $server (@{ $guest->{voters} }, $guest->{primary}) {
        die "guest $name: '" . ($server // '') . "' is no name of a server\n" unless ($server // '') =~ /^$NAME$/;
    }
    die "guest $name has no voters\n" unless @{ $guest->{voters} };
    my @ids = map { /^(\d{3,9})\@($NAME)$/ ? { vmid => $1, server => $2 } : die "guest $name: '$_' is no id\@server\n" } @{ $guest->{ids} };
    return { order => 0, delay => 0, onboot => 0, %$guest, name => $name, kind => $kind, ids => \@ids };
}

sub conf {
    my $text = slurp(conf_file()) // die 'cannot read ' . conf_file() . ": $!\n";
    my $conf = eval { read_conf($text) } // die conf_file() . ": $@";
    return $conf;
}

sub ids_here { my ($conf, $guest) = @_; return map { $_->{vmid} } grep { $_->{server} eq $conf->{self} } @{ $guest->{ids} } }

# An id that is a guest's on another server counts as well: somebody moved the guest here.
sub guest_of {
    my ($conf, $vmid) = @_;
    my @guests = map { $conf->{guests}{$_} } sort keys %{ $conf->{guests} };
    for my $guest (@guests) { return $guest if grep { $_ == $vmid } ids_here($conf, $guest) }
    for my $guest (@guests) { return $guest if grep { $_->{vmid} == $vmid } @{ $guest->{ids} } }
    return undef;
}

1;
