package Coldspare::Backup::Remedy;
# What to do about what failed, by the words of whoever says it.
use strict;
use warnings;
use Exporter 'import';

our @EXPORT = qw(remedy);

# First match. {again} is the command that tries again, {prune} that of retention alone.
my @REMEDIES = (
    [qr/stopped by SIG|was interrupted/ => 'It was ended from outside. Nothing is lost: the next run goes on where it was. Start it at once with: {again}'],
    [qr/cannot be read|could not be read|permission denied.*open|unreadable/i => 'Look at the files that are named: permissions, or a failing disk (dmesg, smartctl -a). Then run: {again}'],
    [qr/no space left|disk quota exceeded|file too large|not enough room/i => 'The target is full. Give it more room, or keep fewer copies in the specification (`coldspare check` forecasts it); then run: {prune}. A repository without any free byte: restic prune --max-repack-size 0'],
    [qr/wrong password|no key found/i => 'The secret is not the one that the repository was made with. Put the right one back: pulumi config set --secret, then pulumi up. To change it, see coldspare-backup rekey'],
    [qr/is there a repository|unable to open config file|repository does not exist/i => 'There is no repository. Is its disk or share mounted? If the target is new: coldspare-backup init {target}'],
    [qr/corrupt|damaged|missing from the repository|does not match|does not exist|contains errors/i => 'Do not prune. Look at the target\'s disks. Then move the pack\'s file aside and run: restic rebuild-index; and {again}, which reads all files again and stores what was lost. Points that stay damaged are listed by coldspare-backup points: restore from another target or medium meanwhile'],
    [qr/already locked/i => 'Another machine works on the repository, or died doing so. See who: restic list locks. A lock of a machine that is gone ends by itself after 30 minutes'],
    [qr/host key verification|remote host identification/i => 'The host key is another one than pinned. Find out why first; if the machine was renewed, put its new key into the specification and run pulumi up'],
    [qr/access denied|accessdenied|forbidden|\b40[13]\b|permission denied|signature/i => 'The target refuses these credentials. Check the secrets that the target names, and for SFTP that /etc/coldspare/backup_ed25519.pub is in authorized_keys there'],
    [qr/certificate|x509/i => 'The certificate of the target is not trusted: give its authority in the specification (`ca`)'],
    [qr/connect|no route|timed? ?out|timeout|unreachable|broken pipe|connection|network|EOF|lookup|dial|ssh command exited/i => 'The target cannot be reached. Look at the link and at the machine; the next run goes on by itself'],
    [qr/hook/i => 'Run the hook by hand on {server} and mend what it says; then: {again}'],
    [qr/medium|media/i => 'Attach the medium that is named, then run: coldspare-backup media run {target}'],
    [qr/docker/i => 'Look at the Docker Engine and the name of the volume (docker volume ls)'],
    [qr/secret/i => 'Set the secret that is named: pulumi config set --secret coldspare:<name>, then pulumi up'],
    [qr/no such file|not found/i => 'Install what is missing (apt install restic curl), or mend the path in the specification and run pulumi up'],
);

sub remedy {
    my ($error, $job) = @_;
    return $job->{fix} if $job->{fix};
    for my $remedy (@REMEDIES) {
        my ($pattern, $text) = @$remedy;
        next unless $error =~ $pattern;
        my $policy = $job->{policy} // $job->{name};
        my $media = ($job->{kind} // '') eq 'media' ? "coldspare-backup media run $job->{target}" : undef;
        my %fill = (policy => $policy, target => $job->{target}, server => $job->{server} // 'the server',
            again => $media // "coldspare-backup run $policy", prune => $media // "coldspare-backup prune $policy");
        return $text =~ s/\{(\w+)\}/$fill{$1}/gr;
    }
    return 'See journalctl -t coldspare on the server, and coldspare-backup status';
}

1;
