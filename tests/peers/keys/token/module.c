/* SoftHSM2 as other tokens are: with OPEN, it asks nobody for a PIN, though its keys may; with SLOW, each signature takes
   so many microseconds, and the second of four sessions is no more once there was a file named cut. */
#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long word;

/* CK_FUNCTION_LIST of PKCS #11 v2.40. */
struct list {
    unsigned char version[2];
    word (*calls[68])();
};

/* Places in it. */
enum { GET_TOKEN_INFO = 6, OPEN_SESSION = 12, GET_SESSION_INFO = 15, LOGIN = 18, SIGN_INIT = 42, SIGN = 43 };

/* CK_TOKEN_INFO as far as its flags, CK_SESSION_INFO as far as its state. */
struct info {
    unsigned char names[96];
    word flags;
};

struct session_info {
    word slot, state;
};

static struct list *real, ours;

#ifdef OPEN
static word token_info(word slot, struct info *info) {
    word result = real->calls[GET_TOKEN_INFO](slot, info);
    info->flags &= ~4UL; /* CKF_LOGIN_REQUIRED */
    return result;
}

/* Logged into behind everybody's back, since SoftHSM2 wants that. */
static word open_session(word slot, word flags, void *application, void *notify, word *session) {
    word result = real->calls[OPEN_SESSION](slot, flags, application, notify, session);
    real->calls[LOGIN](*session, 1UL, OPEN, strlen(OPEN));
    return result;
}

static word session_info(word session, struct session_info *info) {
    word result = real->calls[GET_SESSION_INFO](session, info);
    info->state = 0; /* CKS_RO_PUBLIC_SESSION */
    return result;
}

/* For CKU_USER such a token has no place (CKR_FUNCTION_FAILED). */
static word login(word session, word user, void *pin, word length) {
    return user == 1 ? 6 : real->calls[LOGIN](session, user, pin, length);
}
#endif

#ifdef SLOW
static word opened[4], many, gone;

static word open_session(word slot, word flags, void *application, void *notify, word *session) {
    word result = real->calls[OPEN_SESSION](slot, flags, application, notify, session);
    opened[many++ % 4] = *session;
    return result;
}

/* Not closed, since others are in it: SoftHSM2 would not outlive that. CKR_SESSION_HANDLE_INVALID. */
static word is_gone(word session) {
    return session == gone ? 0xB3 : 0;
}

static word session_info(word session, struct session_info *info) {
    return is_gone(session) ?: real->calls[GET_SESSION_INFO](session, info);
}

static word sign_init(word session, void *mechanism, word key) {
    return is_gone(session) ?: real->calls[SIGN_INIT](session, mechanism, key);
}

static word sign(word session, void *data, word length, void *signature, word *room) {
    if (signature) usleep(SLOW);
    if (!unlink("cut")) gone = opened[1];
    return is_gone(session) ?: real->calls[SIGN](session, data, length, signature, room);
}
#endif

word C_GetFunctionList(struct list **list) {
    word (*get)(struct list **) = dlsym(dlopen(MODULE, RTLD_NOW), "C_GetFunctionList");
    word result = get(&real);
    ours = *real;
#ifdef OPEN
    ours.calls[GET_TOKEN_INFO] = token_info;
    ours.calls[OPEN_SESSION] = open_session;
    ours.calls[GET_SESSION_INFO] = session_info;
    ours.calls[LOGIN] = login;
#endif
#ifdef SLOW
    ours.calls[OPEN_SESSION] = open_session;
    ours.calls[GET_SESSION_INFO] = session_info;
    ours.calls[SIGN_INIT] = sign_init;
    ours.calls[SIGN] = sign;
#endif
    *list = &ours;
    return result;
}
