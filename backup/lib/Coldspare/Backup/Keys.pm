package Coldspare::Backup::Keys;
# The repository's beginning, and the change of its password. A change may be ended at any moment: whichever password opens the
# repository is still on the server, and the next try goes on.
use strict;
use warnings;
use Exporter 'import';
use Coldspare::System;
use Coldspare::Backup::Conf;
use Coldspare::Backup::Job qw(locked state_folder);
use Coldspare::Backup::Restic;

our @EXPORT = qw(init rekey);

sub opens {
    my ($conf, $target, $options) = @_;
    my $result = restic($conf, $target, { %$options, tries => 1 }, 'cat', 'config', '--no-lock', '--no-cache');
    return 1 if $result->{code} == 0;
    return 0 if $result->{err} =~ /wrong password|no key found/i;
    die last_words($result) . "\n";
}

sub init {
    my ($name) = @_;
    my $conf = conf();
    my $target = target_of($conf, $name);
    my $lock = locked($name);
    my $there = eval { opens($conf, $target, { lock => $lock }) };
    my $why = $@;
    die "there is a repository already, and the secret $target->{password} does not open it\n" if defined $there && !$there;
    if ($there) { print "$name: the repository is there\n"; return 0 }
    die $why unless $why =~ /Is there a repository|unable to open config|does not exist|not found|no such/i;
    my $made = restic($conf, $target, { lock => $lock, tries => 1 }, 'init');
    # Another server may have been quicker.
    die last_words($made) . "\n" if $made->{code} && !($made->{err} =~ /already (?:exists|initialized)/i && opens($conf, $target, { lock => $lock }));
    print "$name: the repository is made\n";
    return 0;
}

sub current_key {
    my ($conf, $target, $options) = @_;
    my $keys = json(must_restic($conf, $target, $options, 'key', 'list', '--json', '--no-lock')->{out});
    my ($current) = map { $_->{id} } grep { $_->{current} } @$keys;
    return $current // die "restic does not say which key is in use\n";
}

sub rekey {
    my ($name) = @_;
    my $conf = conf();
    my $target = target_of($conf, $name);
    my $lock = locked($name);
    my $next = secret_file($target->{password}) . '.next';
    my %old = (lock => $lock, password_file => secret_file($target->{password}));
    my %new = (lock => $lock, password_file => $next);
    my $old_key = state_folder() . "/rekey/$name";
    if (!-e $next) {
        return finish($conf, $target, \%old, $old_key) if -e $old_key;
        die { refused => "there is no new password in $next: put it there (0600), or set it with pulumi config set --secret coldspare:$target->{password} and pulumi up" };
    }
    if ((slurp($next) // '') eq (slurp($old{password_file}) // '')) { unlink $next; print "$name: the password is the same\n"; return 0 }
    unless (opens($conf, $target, \%new)) {
        die "neither the password in use nor the new one opens $name\n" unless opens($conf, $target, \%old);
        write_file($old_key, current_key($conf, $target, \%old) . "\n", 1);
        must_restic($conf, $target, \%old, 'key', 'add', '--new-password-file', $next);
        die "the new password was added, but does not open $name: nothing was removed\n" unless opens($conf, $target, \%new);
    }
    rest_of_targets($conf, $target, $next);
    rename($next, $old{password_file}) or die "$next: $!\n";
    return finish($conf, $target, \%old, $old_key);
}

# One password may be that of several repositories: it is in use only when all of them know it.
sub rest_of_targets {
    my ($conf, $target, $next) = @_;
    for my $other (grep { $_->{password} eq $target->{password} && $_->{name} ne $target->{name} } values %{ $conf->{targets} }) {
        next if opens($conf, $other, { password_file => $next });
        write_file(state_folder() . "/rekey/$other->{name}", current_key($conf, $other, {}) . "\n", 1);
        must_restic($conf, $other, {}, 'key', 'add', '--new-password-file', $next);
    }
}

# Removes the key that the old password opened, and no other: there may be one in a safe.
sub finish {
    my ($conf, $target, $options, $old_key) = @_;
    my $name = $target->{name};
    for my $each (map { $_->{name} } grep { $_->{password} eq $target->{password} } values %{ $conf->{targets} }) {
        my $file = state_folder() . "/rekey/$each";
        chomp(my $id = slurp($file) // next);
        my $repository = $conf->{targets}{$each};
        my %how = (%$options, $repository->{prune} ? (prune => 1) : ());
        if ($repository->{append} && !$repository->{prune}) {
            print "$each: the new password is in use. The old key $id stays, as this server may not delete: restic key remove $id, with credentials that may\n";
        }
        elsif ($id ne current_key($conf, $repository, \%how)) {
            my $there = must_restic($conf, $repository, \%how, 'key', 'list', '--json', '--no-lock')->{out};
            must_restic($conf, $repository, \%how, 'key', 'remove', $id) if grep { $_->{id} eq $id } @{ json($there) };
            print "$each: the new password is in use, the old one opens nothing any more\n";
        }
        unlink $file;
    }
    print "$name: done\n" unless -e $old_key;
    return 0;
}

1;
