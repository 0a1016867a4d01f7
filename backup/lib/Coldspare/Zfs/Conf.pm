package Coldspare::Zfs::Conf;
# zfs.conf: peers, what they may do here, jobs and replicas. docs/zfs.md has its lines.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;
use Coldspare::Zfs::Outcome;
use Coldspare::Zfs::Keep;

our $DATASET = qr{[A-Za-z][A-Za-z0-9_.:-]*(?:/[A-Za-z0-9_.:-]+)*};
our @EXPORT = qw($DATASET conf job_of replica_of);

my @VERBS = qw(list snapshot send receive hold destroy rename rollback read);

sub conf_file { return path('/etc/coldspare/zfs.conf') }

sub decoded { my ($words) = @_; return { map { $_ => decode($words->{$_}) } keys %$words } }

sub datasets {
    my ($text, $what) = @_;
    my @all = split /,/, $text // '';
    die "$what names no data set\n" unless @all;
    for my $each (@all) { die "$what: '$each' is no name of a data set\n" unless $each =~ /^$DATASET$/ }
    return \@all;
}

sub one_of { my ($value, $what, @allowed) = @_; die "$what '" . ($value // '') . "' is none of @allowed\n" unless grep { $_ eq ($value // '') } @allowed; return $value }

sub read_peer {
    my ($name, $words) = @_;
    die "peer $name: '" . ($words->{address} // '') . "' is no address\n" unless ($words->{address} // '') =~ /^[0-9A-Za-z.:][0-9A-Za-z.:-]*$/;
    die "peer $name: '$words->{user}' is no user\n" unless ($words->{user} //= 'root') =~ /^[a-z_][a-z0-9_-]*$/;
    return { name => $name, %$words, port => integer($words->{port} // 22, "peer $name: port") };
}

sub read_allow {
    my ($name, $words) = @_;
    my @do = split /,/, $words->{do} // '';
    one_of($_, "allow $name: do", @VERBS) for @do;
    return { peer => $name, below => datasets($words->{below}, "allow $name"), do => { map { $_ => 1 } @do } };
}

sub read_job {
    my ($name, $words) = @_;
    my %job = (recursive => 0, raw => 0, rate => 0, retries => 3, pause => 10, onfailure => 1, keepsource => 'last:3', keeptarget => '', %$words, name => $name);
    die "job $name: policy and target are missing\n" unless ($job{policy} // '') =~ /^$NAME$/ && ($job{target} // '') =~ /^$NAME$/;
    one_of($job{direction}, "job $name: direction", qw(push pull));
    die "job $name: it has no peer (a name, or - for this server)\n" unless ($job{peer} // '') =~ /^(?:$NAME|-)$/;
    $job{datasets} = datasets($job{datasets}, "job $name");
    $job{into} = datasets($job{into}, "job $name: into")->[0];
    $job{$_} = integer($job{$_}, "job $name: $_") for qw(recursive raw rate retries pause onfailure);
    $job{$_} = read_keep($job{$_}, "job $name: $_") for qw(keepsource keeptarget);
    my %copies;
    for my $each (@{ $job{datasets} }) { my $copy = copy_name(\%job, $each); die "job $name: $each and $copies{$copy} would both be $copy\n" if $copies{$copy}; $copies{$copy} = $each }
    return \%job;
}

# 'tank/a/b' into 'backup/srv2' is 'backup/srv2/a/b'; a pool itself keeps its name.
sub copy_name { my ($job, $dataset) = @_; return "$job->{into}/" . ($dataset =~ m{^[^/]+/(.+)$} ? $1 : $dataset) }

sub read_replica {
    my ($name, $words) = @_;
    my @sides = split /,/, $words->{sides} // '';
    die "replica $name: sides must be two servers\n" unless @sides == 2 && !grep { !/^$NAME$/ } @sides;
    my $volumes = datasets($words->{volumes}, "replica $name");
    for my $volume (@$volumes) { die "replica $name: '$volume' is a whole pool\n" unless $volume =~ m{/} }
    my $keep = integer($words->{keep} // 3, "replica $name: keep");
    die "replica $name: keep must be at least 1\n" if $keep < 1;
    return { name => $name, sides => \@sides, volumes => $volumes, keep => $keep, raw => integer($words->{raw} // 0, "replica $name: raw"),
        rate => integer($words->{rate} // 0, "replica $name: rate"), retries => integer($words->{retries} // 1, 'retries'), pause => integer($words->{pause} // 5, 'pause') };
}

sub read_conf {
    my ($text) = @_;
    my %conf = (peers => {}, allow => [], jobs => {}, replicas => {});
    my %readers = (peer => [\&read_peer, 'peers'], job => [\&read_job, 'jobs'], replica => [\&read_replica, 'replicas']);
    for my $line (grep { /\S/ && !/^#/ } split /\n/, $text) {
        my ($key, @rest) = split ' ', $line;
        if ($key eq 'format' || $key eq 'self') { $conf{$key} = $rest[0] // die "line '$line' has no value\n" }
        elsif ($key eq 'mail') { $conf{mail} = decoded(words("@rest")) }
        elsif ($key eq 'allow' || $readers{$key}) {
            my $name = shift @rest // '';
            die "'$name' is no name\n" unless $name =~ /^$NAME$/;
            my $words = decoded(words("@rest"));
            if ($key eq 'allow') { push @{ $conf{allow} }, read_allow($name, $words); next }
            my ($reader, $into) = @{ $readers{$key} };
            die "$key $name is there twice\n" if $conf{$into}{$name};
            $conf{$into}{$name} = $reader->($name, $words);
        }
        else { die "line '$line' is not understood\n" }
    }
    die 'its format is ' . ($conf{format} // 'missing') . ", this program reads 1\n" unless ($conf{format} // '') eq '1';
    die "it does not say which server this is (self)\n" unless ($conf{self} // '') =~ /^$NAME$/;
    for my $job (values %{ $conf{jobs} }) { die "job $job->{name}: there is no peer $job->{peer}\n" unless $job->{peer} eq '-' || $conf{peers}{ $job->{peer} } }
    return \%conf;
}

sub conf {
    my $text = slurp(conf_file()) // wrong_use('cannot read ' . conf_file() . ": $!; 'pulumi up' writes it");
    return eval { read_conf($text) } // wrong_use(conf_file() . ': ' . message_of($@));
}

sub known { my (%all) = @_; return join(', ', sort keys %all) || 'none' }
sub job_of { my ($conf, $name) = @_; return $conf->{jobs}{ $name // '' } // wrong_use("there is no job '" . ($name // '') . "' in " . conf_file() . ': known are ' . known(%{ $conf->{jobs} })) }
sub replica_of {
    my ($conf, $name) = @_;
    my $replica = $conf->{replicas}{ $name // '' } // wrong_use("there is no replica of '" . ($name // '') . "' in " . conf_file() . ': known are ' . known(%{ $conf->{replicas} }));
    my ($other) = grep { $_ ne $conf->{self} } @{ $replica->{sides} };
    wrong_use("$conf->{self} is no side of $name") unless grep { $_ eq $conf->{self} } @{ $replica->{sides} };
    return { %$replica, other => $other };
}

1;
