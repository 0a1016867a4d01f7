package Coldspare::Backup::Conf;
# backup.conf: targets, policies and rotations of this server, one entry a line; and the values of secrets, from files of root's.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;

our @EXPORT = qw(conf policy_of target_of rotation_of secret secret_file list);

my $FORMAT = 1;

sub conf_file { return path('/etc/coldspare/backup.conf') }

# What a value may hold: words are percent-encoded, lists are joined by commas.
sub list { return map { decode($_) } split /,/, $_[0] // '' }

sub entry {
    my ($text, @needed) = @_;
    my $words = words($text);
    for my $key (@needed) { die "'$key' is missing\n" unless defined $words->{$key} }
    return $words;
}

my %READERS = (
    mail => sub { my ($conf, $text) = @_; $conf->{mail} = decoded(entry($text, qw(server port from to tls)), 'to') },
    retry => sub { my ($conf, $text) = @_; $conf->{retry} = [map { integer($_, 'retry') } split /,/, $text] },
    target => sub { my ($conf, $text) = @_; named($conf, 'targets', $text, 'repository') },
    policy => sub {
        my ($conf, $text) = @_;
        my $policy = named($conf, 'policies', $text, 'target');
        @$policy{qw(keep before after subjects)} = (keep_of($policy->{keep} // ''), [], [], []);
    },
    rotation => sub {
        my ($conf, $text) = @_;
        my $rotation = named($conf, 'rotations', $text, qw(mount grace));
        @$rotation{qw(keep media)} = (keep_of($rotation->{keep} // ''), {});
    },
    folder => sub { subject(@_, 'path') },
    volume => sub { subject(@_, 'volume') },
    before => sub { hook(@_, 'before') },
    after => sub { hook(@_, 'after') },
    medium => sub {
        my ($conf, $text) = @_;
        my ($name, $label, $rest) = split ' ', $text, 3;
        ($conf->{rotations}{$name} // die "medium of the unknown rotation $name\n")->{media}{$label} = decoded(entry($rest // ''));
    },
    guest => sub { my ($conf, $text) = @_; my ($vmid, $name) = split ' ', $text; $conf->{guests}{ integer($vmid, 'guest') } = $name },
);

sub decoded {
    my ($words, @lists) = @_;
    my %lists = map { $_ => 1 } @lists;
    return { map { $_ => $lists{$_} ? [list($words->{$_})] : decode($words->{$_}) } keys %$words };
}

sub named {
    my ($conf, $kind, $text, @needed) = @_;
    my ($name, $rest) = split ' ', $text, 2;
    die "it has no name\n" unless ($name // '') =~ /^$NAME$/;
    return $conf->{$kind}{$name} = { %{ decoded(entry($rest // '', @needed)) }, name => $name };
}

sub subject {
    my ($conf, $text, $kind) = @_;
    my ($name, $rest) = split ' ', $text, 2;
    my $policy = $conf->{policies}{$name} // die "of the unknown policy $name\n";
    my $words = entry($rest // '', 'subject', $kind);
    push @{ $policy->{subjects} }, { subject => decode($words->{subject}), kind => $kind, values => [list($words->{$kind})], exclude => [list($words->{exclude})] };
}

sub hook {
    my ($conf, $text, $when) = @_;
    my ($name, $argv) = split ' ', $text;
    push @{ ($conf->{policies}{$name} // die "of the unknown policy $name\n")->{$when} }, [list($argv)];
}

# 'daily:7,weekly:4' as a hash.
sub keep_of {
    my %keep;
    for my $rule (split /,/, $_[0]) {
        my ($name, $count) = $rule =~ /^(last|hourly|daily|weekly|monthly|yearly):(\d{1,6})$/ or die "keep '$rule' is no rule:number\n";
        $keep{$name} = $count;
    }
    return \%keep;
}

sub read_conf {
    my ($text) = @_;
    my %conf = (targets => {}, policies => {}, rotations => {}, guests => {}, retry => [30, 120, 600]);
    for my $line (grep { /\S/ && !/^#/ } split /\n/, $text) {
        my ($key, $rest) = split ' ', $line, 2;
        if ($READERS{$key}) { eval { $READERS{$key}->(\%conf, $rest // ''); 1 } or die "line '$line': $@" }
        elsif ($key =~ /^(?:format|site|self)$/) { $conf{$key} = $rest }
    }
    die 'its format is ' . ($conf{format} // 'missing') . ", this program reads $FORMAT\n" unless ($conf{format} // '') eq $FORMAT;
    die "it does not say which server this is (self)\n" unless ($conf{self} // '') =~ /^$NAME$/;
    $_->{site} = $conf{site} for values %{ $conf{rotations} };
    return \%conf;
}

sub conf {
    my $text = slurp(conf_file()) // die 'cannot read ' . conf_file() . ": $!. Run `pulumi up`, which writes it\n";
    return eval { read_conf($text) } // die conf_file() . ": $@";
}

sub one_of {
    my ($all, $name, $what) = @_;
    return $all->{ $name // '' } // die { use => "there is no $what '" . ($name // '') . "' on this server; there is: " . (join(', ', sort keys %$all) || 'none') };
}

sub policy_of { my ($conf, $name) = @_; return one_of($conf->{policies}, $name, 'policy') }
sub target_of { my ($conf, $name) = @_; return one_of($conf->{targets}, $name, 'target') }
sub rotation_of { my ($conf, $name) = @_; return one_of($conf->{rotations}, $name, 'rotation') }

sub secret_file {
    my ($name) = @_;
    die "'$name' is no name of a secret\n" unless $name =~ /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
    return path("/etc/coldspare/secrets/$name");
}

sub secret {
    my ($name) = @_;
    my $value = slurp(secret_file($name)) // die 'the secret ' . secret_file($name) . " cannot be read ($!). Set it: pulumi config set --secret coldspare:$name, then `pulumi up`\n";
    $value =~ s/\n\z//;
    return $value;
}

1;
