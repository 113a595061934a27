BEGIN TRANSACTION;
CREATE TABLE source (
	name TEXT NOT NULL, 
	system TEXT NOT NULL, 
	origins TEXT NOT NULL, 
	created_us BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE write_key (
	digest TEXT NOT NULL, 
	source TEXT NOT NULL, 
	created_us BIGINT NOT NULL, 
	revoked_us BIGINT, 
	PRIMARY KEY (digest)
);
COMMIT;
