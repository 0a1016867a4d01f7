package LabZfs::Seal;
# Encrypted data sets. With its key loaded a data set's bytes lie in clear; without, and in every raw stream, they are
# ciphertext that only the key opens. The cipher is a key stream of SHA-256 over key, salt, file and place: good enough to keep a
# test honest about who can read what, and nothing else. Holes stay holes, names of files are enciphered as well.
use strict;
use warnings;
use Exporter 'import';
use Digest::SHA qw(sha256 sha256_hex);
use LabZfs::Store;

our @EXPORT = qw(sealed_status sealed_property make_sealed load_key unload_key is_locked root_of cipher cipher_path key_of_dataset);

sub root_of { my ($dataset) = @_; return $dataset->{encryptionroot} ? $STATE->{datasets}{ $dataset->{encryptionroot} } : undef }
sub is_locked { my ($dataset) = @_; my $root = root_of($dataset); return $root && !defined $root->{key} ? 1 : 0 }
sub sealed_status { my ($dataset) = @_; return root_of($dataset) ? (is_locked($dataset) ? 'unavailable' : 'available') : undef }
sub key_of_dataset { my ($dataset) = @_; my $root = root_of($dataset); return $root ? $root->{key} : undef }

sub sealed_property {
    my ($dataset, $property) = @_;
    my $root = root_of($dataset) or return { encryption => 'off', keyformat => 'none', keylocation => 'none', pbkdf2iters => 0 }->{$property};
    return $dataset->{encryption} if $property eq 'encryption';
    return 'none' if $property eq 'keylocation' && $root->{id} ne $dataset->{id};
    return $property eq 'pbkdf2iters' ? ($root->{keyformat} eq 'passphrase' ? 350_000 : 0) : $root->{$property};
}

sub read_key {
    my ($root, $name) = @_;
    my $place = $root->{keylocation};
    my $text;
    if ($place =~ m{^file://(/.*)$}) {
        my $file = ($ENV{COLDSPARE_ROOT} // '') . $1;
        open(my $in, '<:raw', -e $file ? $file : $1) or fail("Key load error: Failed to open key material file: $!");
        local $/;
        $text = <$in>;
    }
    else { local $/; $text = <STDIN> }
    $text //= '';
    $text =~ s/\n\z// unless $root->{keyformat} eq 'raw';
    fail('Key load error: Passphrase too short (min 8).') if $root->{keyformat} eq 'passphrase' && length $text < 8;
    fail('Key load error: Raw key must be 32 bytes long.') if $root->{keyformat} eq 'raw' && length $text != 32;
    return sha256_hex("$root->{salt} $text");
}

sub key_check { my ($key) = @_; return sha256_hex("check $key") }

# A new data set: encrypted when it asks for it or lies below one that is.
sub make_sealed {
    my ($dataset, $wanted) = @_;
    my $parent = dataset(parent_name($dataset->{name}) // '');
    my $above = $parent ? root_of($parent) : undef;
    my $encryption = $wanted->{encryption} // ($above ? $parent->{encryption} : 'off');
    if ($encryption eq 'off') {
        fail("cannot create '$dataset->{name}': encryption must be enabled below an encrypted dataset") if $above && !defined $wanted->{encryption};
        fail("cannot create '$dataset->{name}': Keyformat given without encryption.") if defined $wanted->{keyformat};
        return;
    }
    $dataset->{encryption} = $encryption eq 'on' ? 'aes-256-gcm' : $encryption;
    if ($above && !defined $wanted->{keyformat}) {
        fail("cannot create '$dataset->{name}': encryption root's key is not loaded or provided") if is_locked($parent);
        @$dataset{qw(encryptionroot salt)} = ($above->{id}, $above->{salt});
        return;
    }
    fail("cannot create '$dataset->{name}': Keyformat required for new encryption root.") unless defined $wanted->{keyformat};
    $dataset->{keyformat} = $wanted->{keyformat};
    $dataset->{keylocation} = $wanted->{keylocation} // 'prompt';
    $dataset->{encryptionroot} = $dataset->{id};
    $dataset->{salt} = sha256_hex(join ' ', $dataset->{guid}, rand, $$, time);
    $dataset->{key} = read_key($dataset);
    $dataset->{keycheck} = key_check($dataset->{key});
}

sub members { my ($root) = @_; return grep { ($_->{encryptionroot} // '') eq $root->{id} } values %{ $STATE->{datasets} } }

sub load_key {
    my ($dataset) = @_;
    my $root = root_of($dataset) // fail("Key load error: '$dataset->{name}' is not encrypted.");
    fail("Key load error: Keys must be loaded for encryption root of '$dataset->{name}' ($root->{name}).") if $root->{id} ne $dataset->{id};
    fail("Key load error: Key already loaded for '$dataset->{name}'.") if defined $root->{key};
    my $key = read_key($root);
    fail("Key load error: Incorrect key provided for '$dataset->{name}'.") if key_check($key) ne $root->{keycheck};
    transform($_, $key, 0) for members($root);
    $root->{key} = $key;
}

sub unload_key {
    my ($dataset) = @_;
    my $root = root_of($dataset) // fail("Key unload error: '$dataset->{name}' is not encrypted.");
    fail("Key unload error: Key already unloaded for '$dataset->{name}'.") unless defined $root->{key};
    fail("Key unload error: '$dataset->{name}' is busy.") if grep { $_->{mounted} } members($root);
    transform($_, $root->{key}, 1) for members($root);
    delete $root->{key};
}

sub stream {
    my ($key, $salt, $path, $offset, $length) = @_;
    my $first = int($offset / 32);
    my $last = int(($offset + $length - 1) / 32);
    my $seed = sha256("$key $salt $path");
    return substr join('', map { sha256($seed . pack 'N', $_) } $first .. $last), $offset % 32, $length;
}

# Both ways, as the key stream is added modulo two. Pieces of zeroes stay holes, whatever the size of a stream's records;
# the offset is a multiple of such a piece.
sub cipher {
    my ($key, $salt, $path, $offset, $bytes) = @_;
    my ($at, $out) = ($offset, '');
    for my $piece (unpack '(a4096)*', $bytes) {
        $out .= $piece =~ tr/\0//c ? $piece ^ stream($key, $salt, $path, $at, length $piece) : $piece;
        $at += length $piece;
    }
    return $out;
}

sub cipher_path {
    my ($key, $salt, $path, $seal) = @_;
    my $name = sub { my ($text) = @_; return $text ^ stream($key, $salt, 'name', 0, length $text) };
    return join '/', map { $_ eq '' ? '' : $seal ? unpack('H*', $name->($_)) : $name->(pack 'H*', $_) } split m{/}, $path, -1;
}

sub transform {
    my ($dataset, $key, $seal) = @_;
    require LabZfs::Space;
    for my $path (live_path($dataset), map { LabZfs::Space::forget_map($_); snapshot_path($_) } snapshots_of($dataset)) {
        if (-d $path) { transform_folder($path, $key, $dataset->{salt}, $seal) }
        elsif (-e $path) { transform_file($path, $key, $dataset->{salt}, '') }
    }
}

sub transform_file {
    my ($file, $key, $salt, $name) = @_;
    my $block = 131_072;
    open(my $handle, '+<:raw', $file) or fail("cannot open $file: $!");
    for (my $offset = 0; ; $offset += $block) {
        sysseek $handle, $offset, 0;
        sysread($handle, my $bytes, $block) or last;
        next if $bytes !~ tr/\0//c;
        sysseek $handle, $offset, 0;
        syswrite $handle, cipher($key, $salt, $name, $offset, $bytes);
    }
}

sub transform_folder {
    my ($folder, $key, $salt, $seal) = @_;
    my $entries = LabZfs::Space::entries($folder);
    # Below first: a folder's new name must not hide what lies in it.
    for my $path (sort { length $b <=> length $a || $b cmp $a } keys %$entries) {
        my $other = cipher_path($key, $salt, $path, $seal);
        transform_file("$folder$path", $key, $salt, $seal ? $path : $other) if $entries->{$path}[0] eq 'file';
        utime $entries->{$path}[2], $entries->{$path}[2], "$folder$path" if $entries->{$path}[0] eq 'file';
        my ($above) = $path =~ m{^(.*)/};
        my ($name) = $other =~ m{([^/]+)$};
        rename("$folder$path", "$folder$above/$name") or fail("cannot rename $folder$path: $!");
    }
}

1;
